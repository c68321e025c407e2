"""The pre-token-generation trigger with the demo directory in memory."""

from typing import Any

import pytest
from conftest import CONTEXT, load_event
from mypy_boto3_dynamodb import DynamoDBClient

from directory.add_claims import handler
from directory.import_directory import handler as import_directory

pytestmark = pytest.mark.usefixtures("directory")

CLAIMS = {
    "email": "ada@example.com",
    "name": "Ada Lovelace",
    "user_id": "ada",
    "account_id": "acme",
    "account_name": "Acme Corp",
    "endpoint_id": "ep-ada",
    "endpoint_name": "Ada's desk",
}


def sign_in(**attributes: str | None) -> Any:  # noqa: ANN401
    """Return the claims that the trigger adds to the tokens of ada with these attributes. None omits an attribute."""
    event = load_event("add-claims")
    user = event["request"]["userAttributes"] | attributes
    event["request"]["userAttributes"] = {name: value for name, value in user.items() if value is not None}
    return handler(event, CONTEXT)["response"]["claimsAndScopeOverrideDetails"]


def test_a_known_user_gets_the_claims_on_both_tokens() -> None:
    added = {"claimsToAddOrOverride": CLAIMS}
    assert sign_in() == {"idTokenGeneration": added, "accessTokenGeneration": added}


def test_a_user_without_an_endpoint_gets_no_endpoint_claims() -> None:
    claims = sign_in(email="guest@example.com")["accessTokenGeneration"]["claimsToAddOrOverride"]
    assert claims["user_id"] == "guest"
    assert not {"endpoint_id", "endpoint_name"} & set(claims)


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
def test_an_unknown_or_unverified_address_gets_no_claims(attributes: dict[str, str | None]) -> None:
    assert sign_in(**attributes) is None


def test_attributes_that_a_user_can_edit_do_not_become_claims() -> None:
    forged = {"name": "Mallory", "account_id": "globex", "custom:account_id": "globex", "user_id": "dave"}
    assert sign_in(**forged)["accessTokenGeneration"]["claimsToAddOrOverride"] == CLAIMS


def test_no_token_is_issued_if_the_directory_fails(dynamodb: DynamoDBClient) -> None:
    dynamodb.delete_table(TableName="directory")
    with pytest.raises(Exception, match="ResourceNotFoundException"):
        sign_in()


def test_an_address_that_only_looks_like_that_of_a_user_gets_no_claims() -> None:
    account = {"id": "kappa", "name": "K", "users": [{"id": "kim", "name": "Kim", "email": "kim@kappa.example"}]}
    import_directory({"accounts": [account]}, CONTEXT)
    assert sign_in(email="KIM@kappa.example")
    assert sign_in(email="\u212aim@kappa.example") is None  # str.lower() folds the Kelvin sign to k
