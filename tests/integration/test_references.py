"""References of a create, with the demo directory: one read finds them, in the caller's account only."""

from typing import Any

import pytest
from conftest import CONTEXT, load_event, make_event
from integration.api import scan, send
from integration.dynamodb_faults import Network
from mypy_boto3_dynamodb import DynamoDBClient

from directory.import_directory import handler as import_directory
from sessions import store

DAVE = {"user_id": "dave", "account_id": "globex", "name": "Dave Moss", "email": "dave@example.com"}


def read_field_errors(event: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the field and the error code of each field error."""
    status, body = send(event)
    assert status == 400
    return [(error["fieldName"], error["errorCode"]) for error in body["responseStatus"]["errors"]]


def read_members(body: dict[str, Any]) -> list[str]:
    status, session = send(make_event(body))
    assert status == 200
    return [member["identity"] for member in session["members"]]


def test_each_person_is_a_member_once(directory: DynamoDBClient) -> None:
    assert directory
    addresses = ["Carol@Example.com", "bob@example.com"]
    assert read_members({"withAddress": "user:bob", "memberEmailAddresses": addresses}) == [
        "user:ada",
        "user:bob",
        "user:carol",
    ]
    assert read_members({"withAddress": "user:ada"}) == ["user:ada"]


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
def test_a_reference_that_the_account_lacks_is_not_found(directory: DynamoDBClient, field: dict[str, Any]) -> None:
    (name, value), = field.items()  # fmt: skip
    expected = f"{name}[0]" if isinstance(value, list) else name
    assert read_field_errors(make_event(field)) == [(expected, "NotFound")]
    assert scan(directory) == []


def test_an_address_that_only_looks_like_that_of_a_user_is_not_found(directory: DynamoDBClient) -> None:
    account = load_event("import-directory")["accounts"][0]
    account["users"].append({"id": "kim", "name": "Kim", "email": "kim@example.com"})
    import_directory({"accounts": [account]}, CONTEXT)
    body = {"memberEmailAddresses": ["KIM@example.com", "\u212aim@example.com"]}  # str.lower() folds U+212A to k
    assert read_field_errors(make_event(body)) == [("memberEmailAddresses[1]", "NotFound")]
    assert scan(directory) == []


def test_a_create_cannot_refer_to_records_of_another_account(directory: DynamoDBClient) -> None:
    assert directory
    _, parent = send(make_event())
    everything = {
        "customerId": "northwind",
        "parentSessionId": parent["id"],
        "withAddress": "team:support",
        "fromPhoneNumber": "+15550100001",
        "memberEmailAddresses": ["ada@example.com", "dave@example.com"],
    }
    assert read_field_errors(make_event(everything, **DAVE)) == [
        ("customerId", "NotFound"),
        ("parentSessionId", "NotFound"),
        ("withAddress", "NotFound"),
        ("fromPhoneNumber", "NotFound"),
        ("memberEmailAddresses[0]", "NotFound"),
    ]


def test_one_response_contains_an_invalid_key_invalid_fields_and_missing_references(directory: DynamoDBClient) -> None:
    wrong = {"channel": "Telex", "customerId": "none", "memberEmailAddresses": ["bob@example.com", "none@example.com"]}
    assert read_field_errors(make_event(wrong, "two words")) == [
        ("Idempotency-Key", "InvalidFormat"),
        ("channel", "InvalidEnum"),
        ("customerId", "NotFound"),
        ("memberEmailAddresses[1]", "NotFound"),
    ]
    assert scan(directory) == []


def test_a_create_makes_two_calls_of_dynamodb_however_many_references_it_has(
    directory: DynamoDBClient, network: Network
) -> None:
    users = [{"id": f"u{number}", "name": f"U {number}", "email": f"u{number}@example.com"} for number in range(60)]
    acme = {"id": "acme", "name": "Acme Corp", "users": users, "customers": [{"id": "c", "name": "C"}],
            "callerIds": ["+15550100001"], "teams": [{"id": "t", "name": "T", "userIds": ["u1", "u2"]}]}  # fmt: skip
    import_directory({"accounts": [acme]}, CONTEXT)
    _, parent = send(make_event())
    network.calls.clear()
    body = {
        "customerId": "c",
        "withAddress": "team:t",
        "fromPhoneNumber": "+15550100001",
        "parentSessionId": parent["id"],
        "memberEmailAddresses": [user["email"] for user in users[:49]] * 2,
    }
    body["memberEmailAddresses"] = body["memberEmailAddresses"][:95]
    status, session = send(make_event(body))
    assert (status, len(session["members"]), session["fromPhoneNumber"]) == (200, 50, "+15550100001")
    assert network.calls == ["BatchGetItem", "PutItem"]
    assert len(scan(directory)) == 2
    network.calls.clear()
    assert read_field_errors(make_event({"memberEmailAddresses": [user["email"] for user in users[:50]]})) == [
        ("memberEmailAddresses", "TooMany")
    ]
    assert network.calls == ["BatchGetItem"]


def test_sessions_are_read_consistently_and_the_directory_is_not(directory: DynamoDBClient) -> None:
    assert directory
    _, parent = send(make_event())
    requested: dict[str, Any] = {}

    def record(params: dict[str, Any], **_: object) -> None:
        requested.update(params["RequestItems"])

    store.client.meta.events.register("provide-client-params.dynamodb.BatchGetItem", record)
    assert send(make_event({"parentSessionId": parent["id"], "customerId": "northwind"}))[0] == 200
    store.client.meta.events.unregister("provide-client-params.dynamodb.BatchGetItem", record)
    assert requested["sessions"]["ConsistentRead"] is True
    assert "ConsistentRead" not in requested["directory"]


def test_keys_that_dynamodb_returns_unprocessed_are_read_again(
    directory: DynamoDBClient, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DynamoDB reads one key a call."""
    assert directory
    _, parent = send(make_event())
    batch_get_item = store.client.batch_get_item

    def read_one(RequestItems: dict[str, Any], **parameters: Any) -> Any:  # noqa: ANN401, N803
        (table, wanted), *others = RequestItems.items()
        first, *rest = wanted["Keys"]
        answer = batch_get_item(RequestItems={table: wanted | {"Keys": [first]}}, **parameters)
        unprocessed = {table: wanted | {"Keys": rest}} if rest else {}
        return {**answer, "UnprocessedKeys": unprocessed | dict(others)}

    monkeypatch.setattr(store.client, "batch_get_item", read_one)
    network.calls.clear()
    addresses = ["bob@example.com", "carol@example.com"]
    body = {"customerId": "northwind", "memberEmailAddresses": addresses, "parentSessionId": parent["id"]}
    assert read_members(body) == ["user:ada", "user:bob", "user:carol"]
    assert network.calls == ["BatchGetItem"] * 4 + ["PutItem"]
