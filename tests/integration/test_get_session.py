"""`GET /sessions/{sessionId}`: the account of a session can read it, and no other account can."""

import json
from typing import Any

import pytest
from conftest import CONTEXT, make_event, make_get, make_typed
from integration.api import read_error, send
from mypy_boto3_dynamodb import DynamoDBClient

from sessions import store
from sessions.handler import handler


def create(**fields: object) -> dict[str, Any]:
    """Return the response of a create by ada."""
    return handler(make_event(fields), CONTEXT)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"displayName": "Zoë 🎧", "callState": "Disconnected", "fromAddress": ""},
        {"withAddress": "team:support", "customerId": "northwind-paris", "startSession": True},
    ],
)
@pytest.mark.parametrize("suffix", ["", ".json"])
def test_a_session_is_returned_as_it_was_created(
    directory: DynamoDBClient, fields: dict[str, Any], suffix: str
) -> None:
    assert directory
    created = create(**fields)
    assert handler(make_get(json.loads(created["body"])["id"] + suffix), CONTEXT) == created


def test_a_session_is_read_consistently(dynamodb: DynamoDBClient) -> None:
    assert dynamodb
    session_id = json.loads(create()["body"])["id"]
    requests: list[dict[str, Any]] = []

    def record(params: dict[str, Any], **_: object) -> None:
        requests.append(params)

    store.client.meta.events.register("provide-client-params.dynamodb.GetItem", record)
    handler(make_get(session_id), CONTEXT)
    store.client.meta.events.unregister("provide-client-params.dynamodb.GetItem", record)
    assert [params["ConsistentRead"] for params in requests] == [True]


def test_a_session_comes_as_jsonp(dynamodb: DynamoDBClient) -> None:
    assert dynamodb
    created = create()["body"]
    event = make_get(json.loads(created)["id"]) | {"queryStringParameters": {"callback": "cb"}}
    assert handler(event, CONTEXT)["body"] == f"cb({created})"


@pytest.mark.parametrize("route", ["GET /api/GetSession", "GET /api/GetSession.json", "GET /json/reply/GetSession"])
@pytest.mark.parametrize("parameter", ["sessionId", "SessionId", "SESSIONID"])
def test_a_typed_client_reads_a_session_by_its_request(dynamodb: DynamoDBClient, route: str, parameter: str) -> None:
    assert dynamodb
    created = create()
    event = make_typed(make_get(""), route, **{parameter: json.loads(created["body"])["id"], "other": "x"})
    assert handler(event, CONTEXT) == created


@pytest.mark.parametrize(
    ("query", "code"),
    [({}, "Required"), ({"sessionId": ""}, "Required"), ({"sessionId": "0" * 32, "SessionId": "1"}, "Duplicate")],
)
def test_a_typed_read_names_one_session(dynamodb: DynamoDBClient, query: dict[str, str], code: str) -> None:
    assert dynamodb
    status, body = send(make_typed(make_get(""), "GET /api/GetSession", **query))
    assert (status, body["responseStatus"]["errorCode"]) == (400, "ValidationException")
    [error] = body["responseStatus"]["errors"]
    assert (error["fieldName"], error["errorCode"]) == ("sessionId", code)


def test_another_account_cannot_read_a_session_whose_id_it_knows(dynamodb: DynamoDBClient) -> None:
    assert dynamodb
    session_id = json.loads(create()["body"])["id"]
    for attempt in (session_id, f"acme#{session_id}", f"../acme/{session_id}", f"{session_id}\n"):
        event = make_get(attempt, user_id="dave", account_id="globex")
        assert read_error(event) == (404, "NotFound")


@pytest.mark.parametrize(
    "session_id", ["0" * 32, "", ".json", "x", "0" * 33, "A" * 32, "../x", "0" * 32 + ".json.json"]
)
def test_an_id_that_the_account_lacks_is_not_found(dynamodb: DynamoDBClient, session_id: str) -> None:
    assert dynamodb
    assert read_error(make_get(session_id)) == (404, "NotFound")
