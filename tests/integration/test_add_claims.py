"""The pre-token-generation trigger with a Directory in memory."""

from typing import Any

import pytest
from conftest import CONTEXT, load_event
from mypy_boto3_dynamodb import DynamoDBClient

from directory.add_claims import handler

SIGN_IN = {
    "pk": "EMAIL#ada@example.com",
    "sk": "SIGN_IN",
    "email": "ada@example.com",
    "userId": "ada",
    "userName": "Ada Lovelace",
    "accountId": "acme",
    "accountName": "Acme Corp",
    "endpointId": "ep-ada",
    "endpointName": "Ada's desk",
}
CLAIMS = {
    "email": "ada@example.com",
    "name": "Ada Lovelace",
    "user_id": "ada",
    "account_id": "acme",
    "account_name": "Acme Corp",
    "endpoint_id": "ep-ada",
    "endpoint_name": "Ada's desk",
}


def put(dynamodb: DynamoDBClient, item: dict[str, str]) -> None:
    dynamodb.put_item(TableName="directory", Item={name: {"S": value} for name, value in item.items()})


def ask(**attributes: str | None) -> Any:  # noqa: ANN401
    """What the trigger adds for a user with these attributes; None is left out."""
    event = load_event("add-claims")
    user = event["request"]["userAttributes"] | attributes
    event["request"]["userAttributes"] = {name: value for name, value in user.items() if value is not None}
    return handler(event, CONTEXT)["response"]["claimsAndScopeOverrideDetails"]


def test_a_known_user_gets_the_claims_on_both_tokens(dynamodb: DynamoDBClient) -> None:
    put(dynamodb, SIGN_IN)
    added = {"claimsToAddOrOverride": CLAIMS}
    assert ask() == {"idTokenGeneration": added, "accessTokenGeneration": added}


def test_a_user_without_an_endpoint_gets_no_claims_about_one(dynamodb: DynamoDBClient) -> None:
    put(dynamodb, {name: value for name, value in SIGN_IN.items() if not name.startswith("endpoint")})
    assert "endpoint_id" not in ask()["accessTokenGeneration"]["claimsToAddOrOverride"]


@pytest.mark.parametrize(
    "attributes",
    [
        {"email": "mallory@example.com"},
        {"email": ""},
        {"email": None},
        {"email_verified": "false"},
        {"email_verified": None},
    ],
)
def test_an_unknown_or_unverified_address_gets_no_claims(
    dynamodb: DynamoDBClient, attributes: dict[str, str | None]
) -> None:
    put(dynamodb, SIGN_IN)
    assert ask(**attributes) is None


def test_what_a_user_can_edit_does_not_become_a_claim(dynamodb: DynamoDBClient) -> None:
    put(dynamodb, SIGN_IN)
    forged = {"name": "Mallory", "account_id": "globex", "custom:account_id": "globex", "user_id": "dave"}
    assert ask(**forged)["accessTokenGeneration"]["claimsToAddOrOverride"] == CLAIMS


def test_without_an_answer_from_the_directory_no_token_is_issued(
    dynamodb: DynamoDBClient,
) -> None:
    dynamodb.delete_table(TableName="directory")
    with pytest.raises(Exception, match="ResourceNotFoundException"):
        ask()
