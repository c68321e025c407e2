"""A create that is sent again: with an Idempotency-Key it creates once, whatever happens in between."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from conftest import CONTEXT, load_event, make_event
from mypy_boto3_dynamodb import DynamoDBClient

from directory.import_directory import handler as import_directory
from sessions import store
from sessions.handler import handler

REFERRING = {"customerId": "northwind-paris", "withAddress": "team:support", "displayName": "x"}


def send(body: object = None, key: str | None = "k", **claims: str | None) -> dict[str, Any]:
    """The response to a create by ada."""
    return handler(make_event(body, key, **claims), CONTEXT)


def count(dynamodb: DynamoDBClient) -> int:
    return dynamodb.scan(TableName="sessions", Select="COUNT")["Count"]


def code(response: dict[str, Any]) -> tuple[int, str]:
    return response["statusCode"], json.loads(response["body"])["responseStatus"]["errorCode"]


@pytest.mark.parametrize("body", [{}, {"displayName": "Zoë"}, REFERRING])
def test_a_replayed_key_returns_the_first_session(directory: DynamoDBClient, body: dict[str, Any]) -> None:
    first, second = send(body), send(body)
    assert (first["statusCode"], second["statusCode"]) == (200, 200)
    assert "Idempotent-Replayed" not in first["headers"]
    assert second["headers"]["Idempotent-Replayed"] == "true"
    assert second["body"] == first["body"]
    assert count(directory) == 1


def test_another_key_user_or_account_creates_another_session(directory: DynamoDBClient) -> None:
    responses = [send(), send(key="K"), send(key=None), send(key=None), send(user_id="bob"), send(account_id="globex")]
    assert [response["statusCode"] for response in responses] == [200] * 6
    assert count(directory) == 6


@pytest.mark.parametrize(
    ("first", "second"), [({}, {"displayName": "x"}), (REFERRING, REFERRING | {"displayName": "y"}), ({}, REFERRING)]
)
def test_the_same_key_with_another_request_is_refused(
    directory: DynamoDBClient, first: dict[str, Any], second: dict[str, Any]
) -> None:
    send(first)
    assert code(send(second)) == (422, "IdempotencyKeyReused")
    assert count(directory) == 1


def test_requests_that_share_the_gateways_id_are_told_apart(directory: DynamoDBClient) -> None:
    # sam local start-api gives all requests of its process the same id.
    first, same, other = (make_event({"displayName": name}, "k") for name in ("x", "x", "y"))
    same["requestContext"]["requestId"] = other["requestContext"]["requestId"] = first["requestContext"]["requestId"]
    created, replayed, refused = (handler(event, CONTEXT) for event in (first, same, other))
    assert replayed["headers"]["Idempotent-Replayed"] == "true"
    assert replayed["body"] == created["body"]
    assert code(refused) == (422, "IdempotencyKeyReused")
    assert count(directory) == 1


def test_a_replay_returns_the_session_as_it_is_now(directory: DynamoDBClient) -> None:
    session_id = json.loads(send()["body"])["id"]
    directory.update_item(
        TableName="sessions",
        Key={"pk": {"S": f"acme#{session_id}"}},
        UpdateExpression="SET outcome = :outcome",
        ExpressionAttributeValues={":outcome": {"S": "Answered"}},
    )
    assert json.loads(send()["body"])["outcome"] == "Answered"


def test_a_replay_succeeds_after_what_it_refers_to_was_removed(directory: DynamoDBClient) -> None:
    first = send(REFERRING)
    document = load_event("import-directory")
    document["accounts"][0] |= {"customers": [], "teams": []}
    import_directory(document, CONTEXT)
    assert send(REFERRING)["body"] == first["body"]
    assert code(send(REFERRING, key="another")) == (400, "ValidationException")
    assert count(directory) == 1


def test_a_refused_request_does_not_use_its_key_up(directory: DynamoDBClient) -> None:
    assert code(send({"channel": "Telex"})) == (400, "ValidationException")
    assert code(send({"customerId": "none"})) == (400, "ValidationException")
    assert send({"channel": "Voice"})["statusCode"] == 200
    assert code(send({"channel": "Telex", "customerId": "northwind"})) == (400, "ValidationException")
    assert count(directory) == 1


def test_a_session_that_was_stored_without_a_key_is_not_replayed(directory: DynamoDBClient) -> None:
    session_id = json.loads(send()["body"])["id"]
    directory.update_item(
        TableName="sessions", Key={"pk": {"S": f"acme#{session_id}"}}, UpdateExpression="REMOVE fingerprint"
    )
    assert code(send()) == (422, "IdempotencyKeyReused")


def test_a_key_adds_no_call_of_dynamodb(directory: DynamoDBClient) -> None:
    assert directory
    called: list[str] = []

    def note(model: Any, **_: object) -> None:  # noqa: ANN401
        called.append(model.name)

    store.client.meta.events.register("before-call.dynamodb", note)
    parent = json.loads(send({}, key="k")["body"])["id"]
    for key, body in (("k", {}), ("r", REFERRING), ("r", REFERRING)) + 2 * (("p", {"parentSessionId": parent}),):
        assert send(body, key=key)["statusCode"] == 200
    store.client.meta.events.unregister("before-call.dynamodb", note)
    plain, referring = ["PutItem", "PutItem"], ["BatchGetItem", "PutItem", "BatchGetItem"]
    assert called == plain + 2 * referring


def test_a_parent_may_be_named_with_a_key(directory: DynamoDBClient) -> None:
    parent = json.loads(send(key="parent")["body"])["id"]
    body = {"parentSessionId": parent}
    assert send(body, key="child")["body"] == send(body, key="child")["body"]
    assert code(send(body, key="parent")) == (422, "IdempotencyKeyReused")
    assert count(directory) == 2


@pytest.mark.parametrize("key", ["", "a b", "x" * 256])
def test_a_bad_key_is_refused_and_nothing_is_stored(directory: DynamoDBClient, key: str) -> None:
    assert code(send(key=key)) == (400, "ValidationException")
    assert count(directory) == 0


def race(requests: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The responses to requests that all come to their put at once.

    moto's table is a dictionary: its own check and write are not one step, so each put takes its turn as in DynamoDB.
    """
    barrier, turn = threading.Barrier(len(requests)), threading.Lock()
    put_item: Callable[..., Any] = store.client.put_item

    def put_together(**arguments: Any) -> Any:  # noqa: ANN401
        barrier.wait(timeout=60)
        with turn:
            return put_item(**arguments)

    monkeypatch.setattr(store.client, "put_item", put_together)
    with ThreadPoolExecutor(len(requests)) as threads:
        return list(threads.map(lambda event: handler(event, CONTEXT), requests))


def test_of_32_equal_requests_at_once_one_creates_and_all_get_its_session(
    directory: DynamoDBClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    responses = race([make_event({"displayName": "x"}, "k") for _ in range(32)], monkeypatch)
    assert {response["statusCode"] for response in responses} == {200}
    assert len({response["body"] for response in responses}) == 1
    assert sum("Idempotent-Replayed" not in response["headers"] for response in responses) == 1
    assert count(directory) == 1


def test_of_two_different_requests_at_once_one_wins_and_the_other_is_refused(
    directory: DynamoDBClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = [{"displayName": "x"}, {"displayName": "y"}] * 16
    responses = race([make_event(body, "k") for body in bodies], monkeypatch)
    winner = {json.loads(response["body"])["displayName"] for response in responses if response["statusCode"] == 200}
    assert len(winner) == 1
    assert sorted(response["statusCode"] for response in responses) == [200] * 16 + [422] * 16
    assert count(directory) == 1
