"""Repeated and concurrent requests with one Idempotency-Key create one session."""

import json
from typing import Any

import pytest
from conftest import CONTEXT, load_event, make_event
from integration.api import race, scan
from integration.dynamodb_faults import Network
from mypy_boto3_dynamodb import DynamoDBClient

from directory.import_directory import handler as import_directory
from sessions.handler import handler
from sessions.idempotency import make_fingerprint_1
from sessions.parsing import parse_request

REFERRING = {"customerId": "northwind-paris", "withAddress": "team:support", "displayName": "x"}


def create(body: object = None, key: str | None = "k", **claims: str | None) -> dict[str, Any]:
    """Return the response to a create by ada."""
    return handler(make_event(body, key, **claims), CONTEXT)


def read_code(response: dict[str, Any]) -> tuple[int, str]:
    """Return the status and the error code of a response."""
    return response["statusCode"], json.loads(response["body"])["responseStatus"]["errorCode"]


@pytest.mark.parametrize("body", [{}, {"displayName": "Zoë"}, REFERRING])
def test_a_replayed_key_returns_the_first_session(directory: DynamoDBClient, body: dict[str, Any]) -> None:
    first, second = create(body), create(body)
    assert (first["statusCode"], second["statusCode"]) == (200, 200)
    assert "Idempotent-Replayed" not in first["headers"]
    assert second["headers"]["Idempotent-Replayed"] == "true"
    assert second["body"] == first["body"]
    assert len(scan(directory)) == 1


def test_the_same_key_of_another_user_or_account_creates_another_session(directory: DynamoDBClient) -> None:
    callers = [("acme", "ada"), ("globex", "ada"), ("acme", "bob"), ('acme","x', "ada"), ("acmea", "da")]
    for account, user in callers:
        assert create(account_id=account, user_id=user)["statusCode"] == 200
    items = scan(directory)
    assert sorted((item["accountId"], item["createdBy"]) for item in items) == sorted(callers)
    assert all(item["pk"] == f"{item['accountId']}#{item['id']}" for item in items)


def test_another_key_or_none_creates_another_session(directory: DynamoDBClient) -> None:
    assert [create(key=key)["statusCode"] for key in ("k", "K", None, None)] == [200] * 4
    assert len(scan(directory)) == 4


@pytest.mark.parametrize(
    ("first", "second"), [({}, {"displayName": "x"}), (REFERRING, REFERRING | {"displayName": "y"}), ({}, REFERRING)]
)
def test_the_same_key_with_another_request_is_refused(
    directory: DynamoDBClient, first: dict[str, Any], second: dict[str, Any]
) -> None:
    create(first)
    assert read_code(create(second)) == (422, "IdempotencyKeyReused")
    assert len(scan(directory)) == 1


def test_a_replay_returns_the_session_as_it_is_now(directory: DynamoDBClient) -> None:
    session_id = json.loads(create()["body"])["id"]
    directory.update_item(
        TableName="sessions",
        Key={"pk": {"S": f"acme#{session_id}"}},
        UpdateExpression="SET outcome = :outcome",
        ExpressionAttributeValues={":outcome": {"S": "Answered"}},
    )
    assert json.loads(create()["body"])["outcome"] == "Answered"


def test_a_replay_succeeds_after_its_references_were_removed(directory: DynamoDBClient) -> None:
    first = create(REFERRING)
    document = load_event("import-directory")
    document["accounts"][0] |= {"customers": [], "teams": []}
    import_directory(document, CONTEXT)
    assert create(REFERRING)["body"] == first["body"]
    assert read_code(create(REFERRING, key="another")) == (400, "ValidationException")
    assert len(scan(directory)) == 1


def test_a_refused_request_leaves_its_key_unused(directory: DynamoDBClient) -> None:
    assert read_code(create({"channel": "Telex"})) == (400, "ValidationException")
    assert read_code(create({"customerId": "none"})) == (400, "ValidationException")
    assert create({"channel": "Voice"})["statusCode"] == 200
    assert read_code(create({"channel": "Telex", "customerId": "northwind"})) == (400, "ValidationException")
    assert len(scan(directory)) == 1


def test_a_session_that_was_stored_without_a_key_is_not_replayed(directory: DynamoDBClient) -> None:
    session_id = json.loads(create()["body"])["id"]
    directory.update_item(
        TableName="sessions", Key={"pk": {"S": f"acme#{session_id}"}}, UpdateExpression="REMOVE fingerprint"
    )
    assert read_code(create()) == (422, "IdempotencyKeyReused")


def test_a_key_adds_no_call_of_dynamodb(directory: DynamoDBClient, network: Network) -> None:
    assert directory
    parent = json.loads(create({}, key="k")["body"])["id"]
    for key in (None, "k", "other"):
        network.calls.clear()
        assert create({}, key=key)["statusCode"] == 200
        assert network.calls == ["PutItem"]
    for body in (REFERRING, {"parentSessionId": parent}):
        network.calls.clear()
        key = json.dumps(body).replace(" ", "")
        assert [create(body, key=key)["statusCode"] for _ in range(2)] == [200] * 2
        assert network.calls == ["BatchGetItem", "PutItem", "BatchGetItem"]


def test_a_request_with_a_key_may_refer_to_a_parent(directory: DynamoDBClient) -> None:
    parent = json.loads(create(key="parent")["body"])["id"]
    body = {"parentSessionId": parent}
    assert create(body, key="child")["body"] == create(body, key="child")["body"]
    assert read_code(create(body, key="parent")) == (422, "IdempotencyKeyReused")
    assert len(scan(directory)) == 2


def test_32_equal_concurrent_requests_create_one_session_and_all_return_it(
    directory: DynamoDBClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    responses = race([make_event({"displayName": "x"}, "k") for _ in range(32)], "put_item", monkeypatch)
    assert {response["statusCode"] for response in responses} == {200}
    assert len({response["body"] for response in responses}) == 1
    assert sum("Idempotent-Replayed" not in response["headers"] for response in responses) == 1
    assert len(scan(directory)) == 1


def test_of_two_different_concurrent_requests_one_creates_and_the_other_is_refused(
    directory: DynamoDBClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = [{"displayName": "x"}, {"displayName": "y"}] * 16
    responses = race([make_event(body, "k") for body in bodies], "put_item", monkeypatch)
    winner = {json.loads(response["body"])["displayName"] for response in responses if response["statusCode"] == 200}
    assert len(winner) == 1
    assert sorted(response["statusCode"] for response in responses) == [200] * 16 + [422] * 16
    assert len(scan(directory)) == 1


def test_a_request_with_the_same_effect_is_replayed(directory: DynamoDBClient) -> None:
    first = create({})
    assert create({"startSession": False, "direction": "Outgoing", "memberEmailAddresses": []})["body"] == first["body"]
    event = make_event(key="k") | {"queryStringParameters": {"callState": "connected"}}
    assert handler(event, CONTEXT)["body"] == first["body"]
    assert len(scan(directory)) == 1


def test_a_session_that_an_earlier_version_of_the_service_stored_is_replayed(directory: DynamoDBClient) -> None:
    body = {"displayName": "x", "startSession": False}
    first = create(body)
    directory.update_item(
        TableName="sessions",
        Key={"pk": {"S": f"acme#{json.loads(first['body'])['id']}"}},
        UpdateExpression="SET fingerprint = :old",
        ExpressionAttributeValues={":old": {"S": make_fingerprint_1(parse_request(body)[0])}},
    )
    assert create(body)["body"] == first["body"]
    assert read_code(create({"displayName": "y"})) == (422, "IdempotencyKeyReused")


@pytest.mark.parametrize("body", [{}, {"fromAddress": "ada@example.com"}, {"fromAddress": "ada@new.example"}])
def test_a_request_is_replayed_after_the_email_address_of_the_user_changed(
    directory: DynamoDBClient, body: dict[str, Any]
) -> None:
    first = create(body)
    assert create(body, email="ada@new.example")["body"] == first["body"]
    assert read_code(create({"fromAddress": "bob@example.com"}, email="bob@example.com")) == (
        422,
        "IdempotencyKeyReused",
    )
    assert len(scan(directory)) == 1
