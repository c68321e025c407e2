"""The handler of `POST /sessions` with a DynamoDB in memory, and with one that fails."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import CONTEXT, make_event
from integration.api import read_error, scan, send
from integration.dynamodb_faults import (
    CORRUPT,
    CUT_SHORT,
    DENIED,
    EMPTY_OBJECT,
    EVERY_CALL,
    FAILED,
    HTML,
    RESET,
    SLOW,
    THROTTLED,
    UNKNOWN_HOST,
    UNREACHED,
    Applied,
    Fault,
    Network,
    make_answer,
    make_corrupt,
)
from mypy_boto3_dynamodb import DynamoDBClient

from sessions.handler import handler

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
    "content_type",
    [None, "application/json", "text/plain;charset=UTF-8", "x", "text/xml", "application/x-www-form-urlencoded"],
)
@pytest.mark.parametrize("key", ["displayName", "DisplayName", "displayname", "DISPLAYNAME"])
def test_json_is_read_with_any_content_type_and_any_casing_of_its_keys(
    dynamodb: DynamoDBClient, content_type: str | None, key: str
) -> None:
    event = make_event({key: "x"})
    event["headers"] = {"content-type": content_type} if content_type else {}
    status, session = send(event)
    assert (status, session["displayName"]) == (200, "x")
    assert len(scan(dynamodb)) == 1


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


def test_a_success_and_an_error_come_as_jsonp(dynamodb: DynamoDBClient) -> None:
    query = {"queryStringParameters": {"callback": "cb"}}
    created = handler(make_event({}) | query, CONTEXT)
    assert created["body"].startswith('cb({"id":')
    assert created["headers"]["Content-Type"] == "application/javascript"
    refused = handler(make_event({"channel": "x"}) | query, CONTEXT)
    assert (refused["statusCode"], refused["body"][:20]) == (400, 'cb({"responseStatus"')
    assert len(scan(dynamodb)) == 1


def test_one_response_contains_all_field_errors(dynamodb: DynamoDBClient) -> None:
    fields = {
        "channel": "Fax",
        "withAddress": "user:bob",
        "startSession": "maybe",
        "direction": "Up",
        "fromName": "\u0007",
    }
    status, body = send(make_event(fields))
    assert status == 400
    assert {error["fieldName"]: error["errorCode"] for error in body["responseStatus"]["errors"]} == {
        "withAddress": "NotFound",
        "startSession": "InvalidType",
        "direction": "InvalidEnum",
        "fromName": "InvalidFormat",
    }
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


# ------------------------------------------------------------------------------------------------ a DynamoDB that fails

# Answers that are incomplete, or not from DynamoDB. `{}` with a status 500 is an error of DynamoDB without a code.
FOREIGN = [
    HTML,
    EMPTY_OBJECT,
    CUT_SHORT,
    *(make_answer(200, content) for content in (b"[]", b"null", b'"ok"', b"1", b'{"Item": {', b"\xff\xfe")),
    make_answer(200, {"ConsumedCapacity": {}}, **{"x-amz-crc32": ""}),  # the connection ended within the header
    *(make_answer(status, b"<html>") for status in (301, 302, 500, 502, 503)),
    *(make_answer(500, content) for content in (b"", b"{}", b"[]", b"\xff\xfe")),
]


@pytest.mark.parametrize(
    "faults",
    [
        [THROTTLED] * EVERY_CALL,
        [UNREACHED, THROTTLED, UNKNOWN_HOST],
        [THROTTLED, DENIED],
    ],
)
def test_a_put_that_certainly_failed_ends_after_three_calls_and_is_unavailable(
    network: Network, dynamodb: DynamoDBClient, faults: list[Fault]
) -> None:
    network.inject("PutItem", *faults)
    response = handler(make_event({}), CONTEXT)
    assert (response["statusCode"], response["headers"]["Retry-After"]) == (503, "1")
    assert len(network.calls) == min(len(faults), 3)
    assert scan(dynamodb) == []


@pytest.mark.parametrize(
    "faults",
    [
        [SLOW] * EVERY_CALL,
        [SLOW, THROTTLED, THROTTLED, THROTTLED],
        [Applied(CORRUPT), THROTTLED, THROTTLED, THROTTLED],
        [THROTTLED, UNREACHED, FAILED, DENIED],
        [RESET, DENIED, DENIED, DENIED],
    ],
)
@pytest.mark.parametrize(("key", "error"), [(None, (504, "OutcomeUnknown")), ("k", (503, "ServiceUnavailable"))])
def test_a_put_that_may_be_applied_ends_after_four_calls_and_is_unknown_or_with_a_key_unavailable(
    network: Network, dynamodb: DynamoDBClient, faults: list[Fault | Applied], key: str | None, error: tuple[int, str]
) -> None:
    network.inject("PutItem", *faults)
    assert read_error(make_event({}, key)) == error
    assert network.calls == ["PutItem"] * 4
    if key:  # the same request may be sent again
        network.inject("PutItem")
        assert send(make_event({}, key))[0] == 200
        assert len(scan(dynamodb)) == 1


@pytest.mark.parametrize("fault", [THROTTLED, FAILED, SLOW, UNREACHED, RESET, CORRUPT, HTML])
def test_a_put_that_failed_is_repeated(network: Network, dynamodb: DynamoDBClient, fault: Fault) -> None:
    network.inject("PutItem", fault)
    status, session = send(make_event({}))
    assert (status, network.calls) == (200, ["PutItem"] * 2)
    assert [item["id"] for item in scan(dynamodb)] == [session["id"]]


@pytest.mark.parametrize("key", [None, "k"])
@pytest.mark.parametrize(
    "then", [FAILED, SLOW, RESET, CORRUPT, HTML, EMPTY_OBJECT, pytest.param(None, id="applied twice")]
)
def test_a_put_that_was_applied_and_then_answered_with_an_error_is_a_success_and_no_replay(
    network: Network, dynamodb: DynamoDBClient, then: Fault | None, key: str | None
) -> None:
    network.inject("PutItem", Applied(then))
    response = handler(make_event({}, key), CONTEXT)
    assert (response["statusCode"], "Idempotent-Replayed" in response["headers"]) == (200, False)
    assert [item["id"] for item in scan(dynamodb)] == [json.loads(response["body"])["id"]]
    replayed = handler(make_event({}, key), CONTEXT)
    assert ("Idempotent-Replayed" in replayed["headers"]) == (key is not None)


@pytest.mark.parametrize("answer", FOREIGN)
def test_a_put_that_something_else_answered_is_not_believed(
    network: Network, dynamodb: DynamoDBClient, answer: Fault
) -> None:
    network.inject("PutItem", *[answer] * EVERY_CALL)
    assert read_error(make_event({})) == (504, "OutcomeUnknown")
    assert network.calls == ["PutItem"] * 4
    assert scan(dynamodb) == []


@pytest.mark.parametrize("answer", FOREIGN)
def test_a_lookup_that_something_else_answered_is_not_believed(
    directory: DynamoDBClient, network: Network, answer: Fault
) -> None:
    network.inject("BatchGetItem", *[answer] * EVERY_CALL)
    assert read_error(make_event({"customerId": "northwind"})) == (503, "ServiceUnavailable")
    assert network.calls == ["BatchGetItem"] * 4
    assert scan(directory) == []


def test_a_corrupt_lookup_is_not_believed(directory: DynamoDBClient, network: Network) -> None:
    customer = {"sk": {"S": "CUSTOMER#northwind"}, "breadcrumb": {"L": []}}
    corrupt = make_corrupt({"Responses": {"directory": [customer]}, "UnprocessedKeys": {}})
    for _ in range(10):
        network.inject("BatchGetItem", *[corrupt] * EVERY_CALL)
        assert read_error(make_event({"customerId": "northwind"})) == (503, "ServiceUnavailable")
    assert scan(directory) == []
