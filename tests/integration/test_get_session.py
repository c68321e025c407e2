"""`GET /sessions/{sessionId}`: what was created, to whom it belongs, and to no one else."""

import json
from typing import Any

import pytest
from conftest import CONTEXT, load_event, make_event, make_get
from mypy_boto3_dynamodb import DynamoDBClient

from sessions import store
from sessions.handler import handler as create_session
from sessions.get_session import handler

DAVE = {"user_id": "dave", "account_id": "globex"}


def create(**fields: object) -> dict[str, Any]:
    """The response of a create by ada."""
    return create_session(make_event(fields), CONTEXT)


def refusal(event: dict[str, Any]) -> tuple[int, str]:
    response = handler(event, CONTEXT)
    return response["statusCode"], json.loads(response["body"])["responseStatus"]["errorCode"]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"displayName": "Zoë 🎧", "callState": "Disconnected", "fromAddress": ""},
        {"withAddress": "team:support", "customerId": "northwind-paris", "startSession": True},
    ],
)
@pytest.mark.parametrize("suffix", ["", ".json"])
def test_a_session_is_replied_as_it_was_when_it_was_created(
    directory: DynamoDBClient, fields: dict[str, Any], suffix: str
) -> None:
    assert directory
    created = create(**fields)
    got = handler(make_get(json.loads(created["body"])["id"] + suffix), CONTEXT)
    assert got == created


def test_a_session_is_read_consistently(dynamodb: DynamoDBClient) -> None:
    assert dynamodb
    session_id = json.loads(create()["body"])["id"]
    asked: list[dict[str, Any]] = []

    def note(params: dict[str, Any], **_: object) -> None:
        asked.append(params)

    store.client.meta.events.register("provide-client-params.dynamodb.GetItem", note)
    handler(make_get(session_id), CONTEXT)
    store.client.meta.events.unregister("provide-client-params.dynamodb.GetItem", note)
    assert [params["ConsistentRead"] for params in asked] == [True]


def test_a_session_comes_as_jsonp(dynamodb: DynamoDBClient) -> None:
    assert dynamodb
    created = create()["body"]
    event = make_get(json.loads(created)["id"]) | {"queryStringParameters": {"callback": "cb"}}
    assert handler(event, CONTEXT)["body"] == f"cb({created})"


def test_another_account_does_not_have_it(dynamodb: DynamoDBClient) -> None:
    assert dynamodb
    session_id = json.loads(create()["body"])["id"]
    assert refusal(make_get(session_id, **DAVE)) == (404, "NotFound")
    assert refusal(make_get(f"acme#{session_id}", **DAVE)) == (404, "NotFound")


@pytest.mark.parametrize(
    "session_id", ["0" * 32, "", ".json", "x", "0" * 33, "A" * 32, "../x", "0" * 32 + ".json.json"]
)
def test_an_id_that_no_session_of_the_account_has_is_not_found(dynamodb: DynamoDBClient, session_id: str) -> None:
    assert dynamodb
    assert refusal(make_get(session_id)) == (404, "NotFound")


def test_it_takes_the_role_and_a_token(dynamodb: DynamoDBClient) -> None:
    assert dynamodb
    session_id = json.loads(create()["body"])["id"]
    assert refusal(make_get(session_id, **{"cognito:groups": "[Admin]"})) == (403, "Forbidden")
    assert refusal(make_get(session_id) | {"requestContext": {}}) == (401, "Unauthorized")


def test_the_event_of_the_documentation_is_not_found_in_an_empty_table(dynamodb: DynamoDBClient) -> None:
    assert dynamodb
    assert refusal(load_event("get-session")) == (404, "NotFound")


def test_a_table_that_fails_is_unavailable(dynamodb: DynamoDBClient) -> None:
    session_id = json.loads(create()["body"])["id"]
    dynamodb.delete_table(TableName="sessions")
    assert refusal(make_get(session_id)) == (503, "ServiceUnavailable")
