"""The handler of `POST /sessions` with a DynamoDB in memory."""

from types import SimpleNamespace
from typing import Any

import pytest
from conftest import make_event
from integration.api import read_error, scan, send
from mypy_boto3_dynamodb import DynamoDBClient

PERSONAL = ["s3cret", "Lovelace", "ada@example.com"]


def item_attributes(session: dict[str, Any], item: dict[str, Any]) -> dict[str, str]:
    """Return the attributes of an item that are not in the session: keys, and the id of its put."""
    return {
        "pk": f"acme#{session['id']}",
        "accountShard": f"acme#{session['id'][0]}",
        "writeId": item["writeId"],
    }


def test_the_stored_item_is_the_reply_under_the_key_of_the_account(dynamodb: DynamoDBClient) -> None:
    _, session = send(make_event({"callState": "Disconnected", "displayName": "Zoë"}))
    (item,) = scan(dynamodb)
    assert item == session | item_attributes(session, item)


def test_fields_that_the_reply_lacks_are_stored_as_requested(directory: DynamoDBClient) -> None:
    _, parent = send(make_event())
    stored_only = {
        "parentSessionId": parent["id"],
        "withAddress": "team:support",
        "memberEmailAddresses": ["Bob@Example.com"],
        "startSession": False,
    }
    references = {"customerId": "northwind", "fromPhoneNumber": "+15550100001"}
    status, session = send(make_event(stored_only | references))
    assert status == 200
    (item,) = [each for each in scan(directory) if each["id"] == session["id"]]
    assert item == session | stored_only | item_attributes(session, item)


def test_each_session_has_an_id_and_a_write_id_of_its_own(dynamodb: DynamoDBClient) -> None:
    ids = [send(make_event({}))[1]["id"] for _ in range(20)]
    assert len(set(ids)) == len(scan(dynamodb)) == len({item["writeId"] for item in scan(dynamodb)}) == 20
    assert all(len(session_id) == 32 and not set(session_id) - set("0123456789abcdef") for session_id in ids)


@pytest.mark.parametrize(
    ("query", "accept", "status"),
    [
        ({}, "text/html", 406),
        ({"format": "xml"}, "*/*", 406),
        ({"callback": "a b"}, "*/*", 400),
    ],
)
def test_a_request_for_another_format_stores_nothing(
    dynamodb: DynamoDBClient, query: dict[str, str], accept: str, status: int
) -> None:
    assert send(make_event({}) | {"queryStringParameters": query, "headers": {"accept": accept}})[0] == status
    assert scan(dynamodb) == []


def test_a_create_logs_one_line_without_values_of_the_request(
    dynamodb: DynamoDBClient, logged: list[dict[str, Any]]
) -> None:
    event = make_event({"displayName": "s3cret", "toAddress": "s3cret"})
    _, session = send(event)
    (line,) = logged
    assert len(scan(dynamodb)) == 1
    assert (line["level"], line["message"], line["status"]) == ("INFO", "Created", 200)
    assert (line["account_id"], line["session_id"]) == ("acme", session["id"])
    assert line["request_id"] == event["requestContext"]["requestId"]
    assert line["milliseconds"] >= 0
    assert not any(personal in str(line) for personal in PERSONAL)


def test_an_existing_session_is_never_overwritten(dynamodb: DynamoDBClient, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = SimpleNamespace(token_hex=lambda _: "0" * 32)
    monkeypatch.setattr("sessions.create_session.secrets", taken)
    send(make_event({"displayName": "first"}))
    assert read_error(make_event({"displayName": "second"})) == (500, "InternalServerError")
    assert [item["displayName"] for item in scan(dynamodb)] == ["first"]
