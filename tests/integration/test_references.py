"""What a create refers to, with the demo directory: found by one read, in the caller's account only."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import CONTEXT, make_event
from mypy_boto3_dynamodb import DynamoDBClient

from directory.import_directory import handler as import_directory
from sessions import store
from sessions.handler import handler

DAVE = {"user_id": "dave", "account_id": "globex", "name": "Dave Moss", "email": "dave@example.com"}


def call(event: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    response = handler(event, CONTEXT)
    return response["statusCode"], json.loads(response["body"])


def refusals(event: dict[str, Any]) -> list[tuple[str, str]]:
    status, body = call(event)
    assert status == 400
    return [(error["fieldName"], error["errorCode"]) for error in body["responseStatus"]["errors"]]


def members(body: dict[str, Any]) -> list[str]:
    status, session = call(make_event(body))
    assert status == 200
    return [member["identity"] for member in session["members"]]


@pytest.fixture
def operations() -> Iterator[list[str]]:
    """The names of the DynamoDB operations that the handler calls."""
    called: list[str] = []

    def note(model: Any, **_: object) -> None:  # noqa: ANN401
        called.append(model.name)

    store.client.meta.events.register("before-call.dynamodb", note)
    yield called
    store.client.meta.events.unregister("before-call.dynamodb", note)


def test_a_customer_gives_its_name_and_the_way_to_it(directory: DynamoDBClient) -> None:
    assert directory
    _, session = call(make_event({"customerId": "northwind-paris"}))
    assert session["customerName"] == "Northwind Paris"
    assert session["customerBreadcrumb"] == [
        {"id": "northwind", "name": "Northwind"},
        {"id": "northwind-emea", "name": "Northwind EMEA"},
        {"id": "northwind-paris", "name": "Northwind Paris"},
    ]


def test_a_chat_with_a_team_has_the_teams_users_as_members(directory: DynamoDBClient) -> None:
    assert directory
    _, session = call(make_event({"withAddress": "team:support"}))
    assert session["channel"] == "Chat"
    assert [member["identity"] for member in session["members"]] == ["user:ada", "user:bob", "user:carol"]
    assert session["members"][1]["endpointId"] == "ep-bob"


def test_each_person_is_a_member_once(directory: DynamoDBClient) -> None:
    assert directory
    addresses = ["Carol@Example.com", "bob@example.com"]
    assert members({"withAddress": "user:bob", "memberEmailAddresses": addresses}) == [
        "user:ada",
        "user:bob",
        "user:carol",
    ]
    assert members({"withAddress": "user:ada"}) == ["user:ada"]


def test_a_parent_and_a_caller_id_of_the_account_are_accepted(directory: DynamoDBClient) -> None:
    assert directory
    _, parent = call(make_event())
    status, session = call(make_event({"parentSessionId": parent["id"], "fromPhoneNumber": "+15550100002"}))
    assert (status, session["fromPhoneNumber"]) == (200, "+15550100002")


@pytest.mark.parametrize(
    "field",
    [
        {"customerId": "initech"},
        {"withAddress": "user:dave"},
        {"withAddress": "team:none"},
        {"withAddress": "team:bob"},
        {"withAddress": "user:support"},
        {"fromPhoneNumber": "+15550200001"},
        {"memberEmailAddresses": ["dave@example.com"]},
        {"parentSessionId": "0" * 32},
        {"parentSessionId": "globex#" + "0" * 32},
        {"customerId": "northwind-paris "},
        {"customerId": "Northwind"},
        {"memberEmailAddresses": ["é" * 300 + "@example.com"]},
        {"memberEmailAddresses": ["🎧" * 300 + "@example.com"]},
    ],
    ids=str,
)
def test_what_the_account_does_not_have_is_not_found(directory: DynamoDBClient, field: dict[str, Any]) -> None:
    (name, value), = field.items()  # fmt: skip
    expected = f"{name}[0]" if isinstance(value, list) else name
    assert refusals(make_event(field)) == [(expected, "NotFound")]
    assert directory.scan(TableName="sessions")["Items"] == []


def test_another_account_can_refer_to_nothing_of_this_one(directory: DynamoDBClient) -> None:
    assert directory
    _, parent = call(make_event())
    everything = {
        "customerId": "northwind",
        "parentSessionId": parent["id"],
        "withAddress": "team:support",
        "fromPhoneNumber": "+15550100001",
        "memberEmailAddresses": ["ada@example.com", "dave@example.com"],
    }
    assert refusals(make_event(everything, **DAVE)) == [
        ("customerId", "NotFound"),
        ("parentSessionId", "NotFound"),
        ("withAddress", "NotFound"),
        ("fromPhoneNumber", "NotFound"),
        ("memberEmailAddresses[0]", "NotFound"),
    ]


def test_what_is_not_found_is_told_with_all_else_that_is_wrong(directory: DynamoDBClient) -> None:
    assert directory
    wrong = {"channel": "Telex", "customerId": "none", "memberEmailAddresses": ["bob@example.com", "none@example.com"]}
    assert refusals(make_event(wrong)) == [
        ("channel", "InvalidEnum"),
        ("customerId", "NotFound"),
        ("memberEmailAddresses[1]", "NotFound"),
    ]


def test_a_plain_create_is_one_call_of_dynamodb(directory: DynamoDBClient, operations: list[str]) -> None:
    assert directory
    assert call(make_event({"displayName": "x", "channel": "Voice", "startSession": True}))[0] == 200
    assert operations == ["PutItem"]


def test_a_create_with_references_is_two_calls_however_many_it_names(
    directory: DynamoDBClient, operations: list[str]
) -> None:
    users = [{"id": f"u{number}", "name": f"U {number}", "email": f"u{number}@example.com"} for number in range(60)]
    acme = {"id": "acme", "name": "Acme Corp", "users": users, "customers": [{"id": "c", "name": "C"}],
            "callerIds": ["+15550100001"], "teams": [{"id": "t", "name": "T", "userIds": ["u1", "u2"]}]}  # fmt: skip
    import_directory({"accounts": [acme]}, CONTEXT)
    _, parent = call(make_event())
    operations.clear()
    body = {
        "customerId": "c",
        "withAddress": "team:t",
        "fromPhoneNumber": "+15550100001",
        "parentSessionId": parent["id"],
        "memberEmailAddresses": [user["email"] for user in users[:49]] * 2,
    }
    body["memberEmailAddresses"] = body["memberEmailAddresses"][:95]
    status, session = call(make_event(body))
    assert (status, len(session["members"])) == (200, 50)
    assert operations == ["BatchGetItem", "PutItem"]
    assert len(directory.scan(TableName="sessions")["Items"]) == 2
    operations.clear()
    assert refusals(make_event({"memberEmailAddresses": [user["email"] for user in users[:50]]})) == [
        ("memberEmailAddresses", "TooMany")
    ]
    assert operations == ["BatchGetItem"]


def test_sessions_are_read_consistently_and_the_directory_is_not(directory: DynamoDBClient) -> None:
    assert directory
    _, parent = call(make_event())
    asked: dict[str, Any] = {}

    def note(params: dict[str, Any], **_: object) -> None:
        asked.update(params["RequestItems"])

    store.client.meta.events.register("provide-client-params.dynamodb.BatchGetItem", note)
    assert call(make_event({"parentSessionId": parent["id"], "customerId": "northwind"}))[0] == 200
    store.client.meta.events.unregister("provide-client-params.dynamodb.BatchGetItem", note)
    assert asked["sessions"]["ConsistentRead"] is True
    assert "ConsistentRead" not in asked["directory"]


class Halting:
    """batch_get_item that answers one key at a time, and hands the others back."""

    def __init__(self, calls: int) -> None:
        self.calls = calls
        self.original = store.client.batch_get_item

    def __call__(self, RequestItems: dict[str, Any]) -> Any:  # noqa: ANN401, N803
        self.calls -= 1
        if self.calls < 0:
            return {"Responses": {}, "UnprocessedKeys": RequestItems}
        (table, wanted), *others = RequestItems.items()
        first, *rest = wanted["Keys"]
        response = self.original(RequestItems={table: wanted | {"Keys": [first]}})
        unprocessed = {table: wanted | {"Keys": rest}} if rest else {}
        return {"Responses": response["Responses"], "UnprocessedKeys": unprocessed | dict(others)}


def test_keys_that_dynamodb_hands_back_are_asked_for_again(
    directory: DynamoDBClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert directory
    _, parent = call(make_event())
    halting = Halting(calls=9)
    monkeypatch.setattr(store.client, "batch_get_item", halting)
    monkeypatch.setattr("sessions.store.time.sleep", lambda _: None)
    monkeypatch.setattr(CONTEXT, "get_remaining_time_in_millis", lambda: 27_000)
    addresses = ["bob@example.com", "carol@example.com"]
    body = {"customerId": "northwind", "memberEmailAddresses": addresses, "parentSessionId": parent["id"]}
    assert members(body) == ["user:ada", "user:bob", "user:carol"]
    assert halting.calls == 9 - 4


def test_when_no_time_is_left_for_the_put_nothing_is_stored(
    directory: DynamoDBClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    remaining = iter([28_000, 27_000, 26_000, 25_999])
    monkeypatch.setattr(store.client, "batch_get_item", Halting(calls=0))
    monkeypatch.setattr("sessions.store.time.sleep", lambda _: None)
    monkeypatch.setattr(CONTEXT, "get_remaining_time_in_millis", lambda: next(remaining))
    status, body = call(make_event({"customerId": "northwind"}))
    assert (status, body["responseStatus"]["errorCode"]) == (503, "ServiceUnavailable")
    assert list(remaining) == []
    assert directory.scan(TableName="sessions")["Items"] == []


def test_a_directory_that_fails_is_unavailable_and_nothing_is_stored(
    dynamodb: DynamoDBClient,
) -> None:
    dynamodb.delete_table(TableName="directory")
    status, body = call(make_event({"customerId": "northwind"}))
    assert (status, body["responseStatus"]["errorCode"]) == (503, "ServiceUnavailable")
    assert dynamodb.scan(TableName="sessions")["Items"] == []
