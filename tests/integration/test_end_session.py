"""`DELETE /sessions/{sessionId}`: any user of the account ends a session, exactly once."""

from collections.abc import Callable
from typing import Any

import pytest
from conftest import CONTEXT, make_end, make_event, make_get, make_typed
from integration.api import race, read_error, scan, send
from integration.dynamodb_faults import Network
from mypy_boto3_dynamodb import DynamoDBClient

from aws.wire import to_wire
from sessions import store
from sessions.handler import handler

type Interfere = Callable[[list[dict[str, Any] | None]], None]

ROUTES = ["DELETE /api/EndSession", "DELETE /api/EndSession.json", "DELETE /json/reply/EndSession"]


def create(**fields: object) -> dict[str, Any]:
    """Return a session that ada creates, with an Idempotency-Key."""
    status, session = send(make_event(fields, "k"))
    assert status == 200
    return session


def end(session_id: str, **claims: str | None) -> int:
    """Return the status of an end. A success has no body."""
    response = handler(make_end(session_id, **claims), CONTEXT)
    assert (response["statusCode"] == 204) == (response["body"] == "")
    return int(response["statusCode"])


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"displayName": "Zoë 🎧", "callState": "Hold", "direction": "Incoming"},
        {"withAddress": "team:support", "customerId": "northwind-paris", "startSession": True},
    ],
)
@pytest.mark.parametrize("suffix", ["", ".json"])
def test_an_end_changes_the_state_and_keeps_everything_else(
    directory: DynamoDBClient, fields: dict[str, Any], suffix: str
) -> None:
    session = create(**fields)
    [before] = scan(directory)
    assert end(session["id"] + suffix, user_id="bob", name="Bob Stone") == 204

    _, ended = send(make_get(session["id"]))
    date = ended["dateLastModified"]
    changed = {
        "dateLastModified": date,
        "dateCompleted": date,
        "lastModifiedBy": "bob",
        "callState": "Disconnected",
        "dialState": "None",
        "ended": True,
        "log": [*session["log"], {"date": date, "message": "Session ended by Bob Stone"}],
        "members": [member | {"callState": "None"} for member in session["members"]],
    }
    assert ended == session | changed
    [after] = scan(directory)
    assert after == before | changed | {"changeId": after["changeId"]}


def test_an_end_resets_the_states_of_queue_and_hold(dynamodb: DynamoDBClient) -> None:
    session = create()
    [item] = scan(dynamodb)
    dynamodb.put_item(TableName="sessions", Item=to_wire(item | {"queueState": "Queued", "holdReason": "Transferring"}))
    end(session["id"])
    [item] = scan(dynamodb)
    assert (item["queueState"], item["holdReason"]) == ("None", "None")


def test_a_success_has_no_content_type(dynamodb: DynamoDBClient) -> None:
    assert dynamodb
    response = handler(make_end(create()["id"]) | {"queryStringParameters": {"callback": "cb"}}, CONTEXT)
    assert response == {
        "statusCode": 204,
        "headers": {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"},
        "body": "",
    }


@pytest.mark.parametrize("created", ["Connected", "Disconnected"])
def test_an_ended_session_stays_as_it_is(dynamodb: DynamoDBClient, logged: list[dict[str, Any]], created: str) -> None:
    session = create(callState=created)
    if created == "Connected":
        assert end(session["id"]) == 204
    [before] = scan(dynamodb)
    assert end(session["id"], user_id="bob") == 204
    assert scan(dynamodb) == [before]
    assert logged[-1]["message"] == "AlreadyEnded"
    assert logged[-1]["session_id"] == session["id"]


def test_a_repeated_create_returns_the_ended_session(dynamodb: DynamoDBClient) -> None:
    assert dynamodb
    session = create()
    end(session["id"])
    assert create() == send(make_get(session["id"]))[1]


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("parameter", ["sessionId", "SessionId"])
def test_a_typed_client_ends_a_session_by_its_request(dynamodb: DynamoDBClient, route: str, parameter: str) -> None:
    session = create()
    assert handler(make_typed(make_end(""), route, **{parameter: session["id"]}), CONTEXT)["statusCode"] == 204
    assert [item["ended"] for item in scan(dynamodb)] == [True]


@pytest.mark.parametrize("parameter", ["callSid", "CallSid", "CALLSID"])
def test_a_single_call_cannot_be_ended(dynamodb: DynamoDBClient, parameter: str) -> None:
    event = make_end(create()["id"])
    status, body = send(event | {"queryStringParameters": {parameter: "CA1"}})
    [error] = body["responseStatus"]["errors"]
    assert (status, error["fieldName"], error["errorCode"]) == (400, "callSid", "NotAllowed")
    assert [item["ended"] for item in scan(dynamodb)] == [False]
    assert handler(event | {"queryStringParameters": {parameter: ""}}, CONTEXT)["statusCode"] == 204


def test_all_errors_of_an_end_are_reported_at_once(dynamodb: DynamoDBClient) -> None:
    assert dynamodb
    _, body = send(make_typed(make_end(""), ROUTES[0], callsid="CA1"))
    errors = [(each["fieldName"], each["errorCode"]) for each in body["responseStatus"]["errors"]]
    assert errors == [("sessionId", "Required"), ("callSid", "NotAllowed")]


def test_only_a_user_of_the_account_with_the_role_can_end_a_session(dynamodb: DynamoDBClient) -> None:
    session_id = create()["id"]
    assert read_error(make_end(session_id, user_id="dave", account_id="globex")) == (404, "NotFound")
    assert read_error(make_end("0" * 32)) == (404, "NotFound")
    assert read_error(make_end(session_id, **{"cognito:groups": "[Admin]"})) == (403, "Forbidden")
    assert read_error(make_end(session_id) | {"requestContext": {}}) == (401, "Unauthorized")
    assert [item["ended"] for item in scan(dynamodb)] == [False]


def test_a_client_that_does_not_accept_json_ends_nothing(dynamodb: DynamoDBClient) -> None:
    event = make_end(create()["id"])
    event["headers"]["accept"] = "text/html"
    assert read_error(event) == (406, "NotAcceptable")
    assert [item["ended"] for item in scan(dynamodb)] == [False]


# ---------------------------------------------------------------------------------------------------------- concurrency


def test_50_concurrent_ends_change_the_session_once(
    directory: DynamoDBClient, monkeypatch: pytest.MonkeyPatch, logged: list[dict[str, Any]]
) -> None:
    session = create(startSession=True)
    responses = race([make_end(session["id"]) for _ in range(50)], "update_item", monkeypatch)
    assert [response["statusCode"] for response in responses] == [204] * 50
    [item] = scan(directory)
    assert [entry["message"] for entry in item["log"]].count("Session ended by Ada Lovelace") == 1
    assert sum("SessionsEnded" in line for line in logged) == 1


@pytest.fixture
def interfere(dynamodb: DynamoDBClient, monkeypatch: pytest.MonkeyPatch) -> Interfere:
    """A function that lets another request change attributes before each of the next updates."""
    monkeypatch.setattr("aws.client.time.sleep", lambda _: None)
    changes: list[dict[str, Any] | None] = []
    update_item = store.client.update_item

    def update(**arguments: Any) -> Any:  # noqa: ANN401
        if changes:
            [item] = scan(dynamodb)
            change = changes.pop(0)
            dynamodb.delete_item(TableName="sessions", Key=to_wire({"pk": item["pk"]}))
            if change is not None:
                dynamodb.put_item(TableName="sessions", Item=to_wire(item | change))
        return update_item(**arguments)

    monkeypatch.setattr(store.client, "update_item", update)
    return changes.extend


@pytest.mark.parametrize(
    "change",
    [
        {"log": [{"date": "2026-11-22T08:22:44.881Z", "message": "Held"}]},
        {"members": []},
        {"dateLastModified": "2026-11-22T08:22:44.881Z", "displayName": "Zoë"},
        {"changeId": "1", "callState": "Hold"},
        {"outcome": "Answered"},
    ],
    ids=", ".join,
)
def test_an_end_keeps_the_change_of_a_concurrent_request(
    dynamodb: DynamoDBClient,
    interfere: Interfere,
    change: dict[str, Any],
) -> None:
    session = create()
    interfere([change])
    assert end(session["id"]) == 204
    [item] = scan(dynamodb)
    assert item["ended"]
    assert [entry["message"] for entry in item["log"]][:-1] == [
        entry["message"] for entry in change.get("log", session["log"])
    ]
    assert len(item["members"]) == len(change.get("members", session["members"]))
    assert item.get("displayName") == change.get("displayName")
    assert item.get("outcome") == change.get("outcome")


def test_a_session_that_is_deleted_during_its_end_is_not_found(
    dynamodb: DynamoDBClient,
    interfere: Interfere,
) -> None:
    session = create()
    interfere([None])
    assert read_error(make_end(session["id"])) == (404, "NotFound")
    assert scan(dynamodb) == []


def test_an_end_reads_once_and_updates_once(dynamodb: DynamoDBClient, network: Network) -> None:
    assert dynamodb
    session_id = create()["id"]
    network.calls.clear()
    assert end(session_id) == 204
    assert network.calls == ["GetItem", "UpdateItem"]
