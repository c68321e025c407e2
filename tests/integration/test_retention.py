"""Sessions past their retention, before DynamoDB has deleted them; and the erasure of a session."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from conftest import CONTEXT, make_end, make_event, make_get
from integration.api import race, read_error, scan, send
from integration.dynamodb_faults import RESET, Applied, Network
from mypy_boto3_dynamodb import DynamoDBClient

import recover
from aws.wire import to_wire
from deployed_stack import RefusedError
from sessions import publish_events, store
from sessions.handler import handler

DAYS = 24 * 3600


class Clock:
    """The clock of the store. It stands still."""

    def __init__(self) -> None:
        self.now: float = int(time.time())

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of a store that keeps new sessions for 30 days."""
    monkeypatch.setattr(store, "RETENTION_SECONDS", 30 * DAYS)
    clock = Clock()
    monkeypatch.setattr(store, "time", clock)
    return clock


def create(key: str | None = "k", **fields: object) -> dict[str, Any]:
    """Return a session that ada creates."""
    status, session = send(make_event(fields, key))
    assert status == 200
    return session


def test_a_session_can_be_used_until_its_retention_ends(dynamodb: DynamoDBClient, clock: Clock) -> None:
    session = create()
    [item] = scan(dynamodb)
    clock.now += 30 * DAYS - 0.1
    assert send(make_get(session["id"])) == (200, session)
    assert create() == session
    assert create(None, parentSessionId=session["id"])["id"] != session["id"]
    assert read_error(make_event({"displayName": "x"}, "k")) == (422, "IdempotencyKeyReused")
    assert handler(make_end(session["id"]), CONTEXT)["statusCode"] == 204
    assert [each["expiresAt"] for each in scan(dynamodb) if each["id"] == session["id"]] == [item["expiresAt"]]


@pytest.mark.parametrize("seconds", [0, 7 * DAYS])
def test_an_expired_session_counts_as_deleted_whatever_the_retention_is_now(
    dynamodb: DynamoDBClient, clock: Clock, monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    session_id = create()["id"]
    monkeypatch.setattr(store, "RETENTION_SECONDS", seconds)
    clock.now += 30 * DAYS
    assert read_error(make_get(session_id)) == (404, "NotFound")
    assert read_error(make_end(session_id)) == (404, "NotFound")
    _, body = send(make_event({"parentSessionId": session_id}))
    [error] = body["responseStatus"]["errors"]
    assert (error["fieldName"], error["errorCode"]) == ("parentSessionId", "NotFound")
    [item] = scan(dynamodb)
    assert item["ended"] is False


@pytest.mark.parametrize("fields", [{}, {"customerId": "northwind"}], ids=["one call", "with a lookup"])
@pytest.mark.parametrize("seconds", [0, 7 * DAYS])
def test_the_key_of_an_expired_session_creates_a_new_session_in_its_place(
    directory: DynamoDBClient,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    fields: dict[str, Any],
    seconds: int,
) -> None:
    first = create(displayName="expired", fromName="Ada")
    [old] = directory.scan(TableName="sessions")["Items"]
    monkeypatch.setattr(store, "RETENTION_SECONDS", seconds)
    clock.now += 30 * DAYS
    response = handler(make_event(fields, "k"), CONTEXT)
    session = json.loads(response["body"])
    assert (response["statusCode"], session["id"]) == (200, first["id"])
    assert "Idempotent-Replayed" not in response["headers"]
    [item] = scan(directory)
    assert "expired" not in str(item)
    assert ("expiresAt" in item) == (seconds > 0)
    assert create(**fields) == session

    [new] = directory.scan(TableName="sessions")["Items"]
    [event] = publish_events.make_events({"eventName": "MODIFY", "dynamodb": {"OldImage": old, "NewImage": new}})
    assert (event.detail_type, json.loads(event.detail)["session"]) == ("SessionCreated", session)


def test_50_concurrent_creates_replace_an_expired_session_once(
    dynamodb: DynamoDBClient, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    create()
    [old] = scan(dynamodb)
    clock.now += 30 * DAYS
    responses = race([make_event({}, "k") for _ in range(50)], "put_item", monkeypatch)
    assert sorted("Idempotent-Replayed" in response["headers"] for response in responses) == [False] + [True] * 49
    assert len({response["body"] for response in responses}) == 1
    [new] = scan(dynamodb)
    assert new["writeId"] != old["writeId"]


def test_a_lost_answer_to_a_create_that_replaced_an_expired_session_makes_it_no_replay(
    dynamodb: DynamoDBClient, clock: Clock, network: Network
) -> None:
    create()
    clock.now += 30 * DAYS
    network.inject("PutItem", Applied(RESET))
    response = handler(make_event({}, "k"), CONTEXT)
    assert (response["statusCode"], "Idempotent-Replayed" in response["headers"]) == (200, False)
    assert [item["dateCreated"] for item in scan(dynamodb)] == [json.loads(response["body"])["dateCreated"]]


# -------------------------------------------------------------------------------------------------- operator's commands


@pytest.fixture
def stack(dynamodb: DynamoDBClient, template: dict[str, Any]) -> recover.Stack:
    """The stack sessions-dev, which has no other resource than the table."""
    assert dynamodb
    properties = template["Resources"]["SessionsTable"]["Properties"]
    names = ("BillingMode", "AttributeDefinitions", "KeySchema")
    resource = {"Type": "AWS::DynamoDB::Table", "Properties": {name: properties[name] for name in names}}
    body = json.dumps({"Resources": {"SessionsTable": resource}})
    boto3.client("cloudformation").create_stack(StackName="sessions-dev", TemplateBody=body)
    return recover.Stack("sessions-dev")


def add_expired(dynamodb: DynamoDBClient, table: str) -> None:
    """Store an ended session that has expired, and one that has not."""
    for key, seconds in (("expired", 0), ("kept", DAYS)):
        session = create(key)
        handler(make_end(session["id"]), CONTEXT)
        [item] = [each for each in scan(dynamodb) if each["id"] == session["id"]]
        item |= {"displayName": key, "expiresAt": int(time.time()) + seconds}
        dynamodb.put_item(TableName=table, Item=to_wire(item))


def read_names(records: Iterator[recover.Record]) -> list[tuple[str, str]]:
    return [(each["eventName"], each["dynamodb"]["NewImage"]["displayName"]["S"]) for each in records]


def test_a_restore_does_not_bring_expired_sessions_back(dynamodb: DynamoDBClient, stack: recover.Stack) -> None:
    add_expired(dynamodb, "sessions")
    assert recover.restore(stack, "sessions") == "1 of 1 sessions were missing, and are restored."
    items = dynamodb.scan(TableName=stack.ids["SessionsTable"])["Items"]
    assert [item["displayName"] for item in items] == [{"S": "kept"}]


def test_a_replay_does_not_publish_expired_sessions(dynamodb: DynamoDBClient, stack: recover.Stack) -> None:
    table, hour = stack.ids["SessionsTable"], timedelta(hours=1)
    add_expired(dynamodb, table)
    kept = [("INSERT", "kept"), ("MODIFY", "kept")]
    assert read_names(stack.find_sessions(datetime.now(UTC) - hour, datetime.now(UTC) + hour)) == kept
    keys = [{"pk": item["pk"]} for item in dynamodb.scan(TableName=table)["Items"]]
    assert [each for key in keys for each in read_names(stack.find_session(key))] == kept


def test_the_replayed_end_of_a_session_has_the_event_of_an_end(dynamodb: DynamoDBClient) -> None:
    handler(make_end(create()["id"]), CONTEXT)
    records = recover.make_records(dynamodb.scan(TableName="sessions")["Items"][0])
    events = [event.detail_type for record in records for event in publish_events.make_events(record)]
    assert events == ["SessionCreated", "SessionEnded"]


@pytest.mark.parametrize("letters", ["", " ", "published", "acme#1", "acme#" + "0" * 32 + " x"])
def test_a_replay_names_a_queue_or_the_keys_of_sessions(stack: recover.Stack, letters: str) -> None:
    with pytest.raises(RefusedError, match=f"^LETTERS is '{letters}', and must be publish"):
        recover.replay(stack, letters)


def test_an_erased_session_leaves_nothing_in_the_table(dynamodb: DynamoDBClient, stack: recover.Stack) -> None:
    session_id, table = create()["id"], stack.ids["SessionsTable"]
    recover.restore(stack, "sessions")
    report = recover.erase(stack, f"acme/{session_id}")
    assert f"{session_id} of the account acme is deleted from the table {table}" in report
    assert dynamodb.scan(TableName=table)["Items"] == []
    for account_id in ("acme", "none"):
        with pytest.raises(RefusedError, match=f"^The account {account_id} has no session {session_id}. Nothing was"):
            recover.erase(stack, f"{account_id}/{session_id}")


@pytest.mark.parametrize("session", ["", "acme", "acme/1", "0" * 32, "/" + "0" * 32, "acme#x/" + "0" * 32])
def test_a_session_to_erase_has_an_account_and_an_id(stack: recover.Stack, session: str) -> None:
    with pytest.raises(RefusedError, match=f"^'{session}' names no session. Write its account, a slash and its id"):
        recover.erase(stack, session)
