"""The handler of `POST /sessions` with a DynamoDB in memory, and with one that fails."""

import json
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from boto3.dynamodb.types import TypeDeserializer
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError
from conftest import CONTEXT, load_event, make_event
from mypy_boto3_dynamodb import DynamoDBClient

from sessions import store
from aws.client import make_client
from sessions.handler import handler

SECRET = "s3cret"
PERSONAL = [SECRET, "Lovelace", "ada@example.com"]  # what no log line may hold
EVENT = "before-send.dynamodb.PutItem"


def call(event: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Status and decoded body of the reply to an event."""
    response = handler(event, CONTEXT)
    return response["statusCode"], json.loads(response["body"])


def stored(dynamodb: DynamoDBClient) -> list[dict[str, Any]]:
    """All items of the sessions table."""
    deserialize = TypeDeserializer().deserialize
    items = dynamodb.scan(TableName="sessions")["Items"]
    return [{name: deserialize(value) for name, value in item.items()} for item in items]


def keys(session: dict[str, Any], event: dict[str, Any]) -> dict[str, str]:
    """What a session's item has besides the session: its key, that of a listing to come, and which request made it."""
    return {
        "pk": f"acme#{session['id']}",
        "accountShard": f"acme#{session['id'][0]}",
        "requestId": event["requestContext"]["requestId"],
    }


def refusals(body: dict[str, Any]) -> dict[str, str]:
    return {error["fieldName"]: error["errorCode"] for error in body["responseStatus"]["errors"]}


def test_the_event_of_the_documentation_creates_a_session(dynamodb: DynamoDBClient) -> None:
    status, session = call(load_event("create-session"))
    assert status == 200
    assert session["displayName"] == "Order 1042"
    assert session["dialState"] == "Active"
    assert [item["id"] for item in stored(dynamodb)] == [session["id"]]


def test_the_stored_item_is_the_reply_under_the_key_of_the_account(dynamodb: DynamoDBClient) -> None:
    event = make_event({"callState": "Disconnected", "displayName": "Zoë"})
    _, session = call(event)
    (item,) = stored(dynamodb)
    assert item == session | keys(session, event)


def test_what_a_reply_does_not_repeat_is_stored_as_it_was_sent(directory: DynamoDBClient) -> None:
    _, parent = call(make_event())
    sent = {
        "parentSessionId": parent["id"],
        "withAddress": "team:support",
        "memberEmailAddresses": ["Bob@Example.com"],
        "startSession": False,
    }
    event = make_event(sent | {"customerId": "northwind", "fromPhoneNumber": "+15550100001"})
    status, session = call(event)
    assert status == 200
    assert session | sent | keys(session, event) in stored(directory)


def test_an_id_is_32_hex_digits_and_no_two_are_equal(dynamodb: DynamoDBClient) -> None:
    ids = [call(make_event({}))[1]["id"] for _ in range(20)]
    assert len(set(ids)) == len(stored(dynamodb)) == 20
    assert all(len(session_id) == 32 and not set(session_id) - set("0123456789abcdef") for session_id in ids)


def test_who_creates_it_and_for_which_account_never_comes_from_the_body(dynamodb: DynamoDBClient) -> None:
    forged = {
        "id": "x",
        "accountId": "globex",
        "createdBy": "dave",
        "pk": "globex#x",
        "dateCreated": "x",
        "members": [],
    }
    _, session = call(make_event(forged))
    assert (session["accountId"], session["createdBy"], len(session["members"])) == ("acme", "ada", 1)
    assert [item["pk"] for item in stored(dynamodb)] == [f"acme#{session['id']}"]


@pytest.mark.parametrize(
    ("event", "status", "code"),
    [
        (make_event("["), 400, "SerializationException"),
        (make_event({"channel": "Telex"}), 400, "ValidationException"),
        (load_event("create-session") | {"requestContext": {}}, 401, "Unauthorized"),
        ({}, 401, "Unauthorized"),
        (make_event({}, **{"cognito:groups": "[Admin]"}), 403, "Forbidden"),
        (make_event({"x": "x" * 70_000}), 413, "RequestTooLarge"),
    ],
)
def test_a_refused_request_stores_nothing(
    dynamodb: DynamoDBClient, event: dict[str, Any], status: int, code: str
) -> None:
    answered, body = call(event)
    assert (answered, body["responseStatus"]["errorCode"]) == (status, code)
    assert stored(dynamodb) == []


@pytest.mark.parametrize("content_type", [None, "application/json", "text/plain;charset=UTF-8", "x", "text/xml",
                                         "application/x-www-form-urlencoded"])  # fmt: skip
@pytest.mark.parametrize("casing", ["displayName", "DisplayName", "displayname", "DISPLAYNAME"])
def test_json_is_read_whatever_its_content_type_and_the_casing_of_its_keys(
    dynamodb: DynamoDBClient, content_type: str | None, casing: str
) -> None:
    event = make_event({casing: "x"})
    event["headers"] = {"content-type": content_type} if content_type else {}
    status, session = call(event)
    assert (status, session["displayName"]) == (200, "x")
    assert len(stored(dynamodb)) == 1


@pytest.mark.parametrize(
    ("query", "accept", "status"),
    [({}, "text/html", 406), ({"format": "xml"}, "*/*", 406), ({"callback": "a b"}, "*/*", 400), ({"callback": ""}, "",
     400)],
)  # fmt: skip
def test_what_cannot_be_replied_is_refused_before_anything_is_written(
    dynamodb: DynamoDBClient, query: dict[str, str], accept: str, status: int
) -> None:
    event = make_event({}) | {"queryStringParameters": query, "headers": {"accept": accept}}
    assert call(event)[0] == status
    assert stored(dynamodb) == []


def test_a_success_and_an_error_come_as_jsonp(dynamodb: DynamoDBClient) -> None:
    query = {"queryStringParameters": {"callback": "cb"}}
    created = handler(make_event({}) | query, CONTEXT)
    assert created["body"].startswith('cb({"id":')
    assert created["headers"]["Content-Type"] == "application/javascript"
    refused = handler(make_event({"channel": "x"}) | query, CONTEXT)
    assert (refused["statusCode"], refused["body"][:20]) == (400, 'cb({"responseStatus"')
    assert len(stored(dynamodb)) == 1


def test_all_field_errors_come_at_once(dynamodb: DynamoDBClient) -> None:
    wrong = {
        "channel": "Fax",
        "withAddress": "user:bob",
        "startSession": "maybe",
        "direction": "Up",
        "fromName": "\u0007",
    }
    status, body = call(make_event(wrong))
    assert status == 400
    assert refusals(body) == {
        "withAddress": "NotFound",
        "startSession": "InvalidType",
        "direction": "InvalidEnum",
        "fromName": "InvalidFormat",
    }
    assert stored(dynamodb) == []


def test_a_request_is_logged_in_one_line_without_what_it_says(
    dynamodb: DynamoDBClient, logged: list[dict[str, Any]]
) -> None:
    event = make_event({"displayName": SECRET, "toAddress": SECRET})
    _, session = call(event)
    (line,) = logged
    assert len(stored(dynamodb)) == 1
    assert (line["level"], line["message"], line["status"]) == ("INFO", "Created", 200)
    assert (line["account_id"], line["session_id"]) == ("acme", session["id"])
    assert line["request_id"] == event["requestContext"]["requestId"]
    assert line["milliseconds"] >= 0
    assert not any(personal in str(line) for personal in PERSONAL)


@pytest.mark.parametrize(
    ("body", "status"),
    [({"displayName": SECRET, "channel": SECRET, "fromName": SECRET * 99, "withAddress": SECRET}, 400), (SECRET, 400)],
)
def test_a_refusal_is_logged_in_one_line_without_what_was_sent(
    logged: list[dict[str, Any]], body: object, status: int
) -> None:
    assert call(make_event(body))[0] == status
    (line,) = logged
    assert (line["level"], line["status"]) == ("INFO", status)
    assert not any(personal in str(line) for personal in PERSONAL)


# ------------------------------------------------------------------------------------------------ a DynamoDB that fails

type Answer = AWSResponse | Exception | None


class Body:
    """The body of an HTTP response, as botocore reads it."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def stream(self) -> Iterator[bytes]:
        yield self.content


def refuse(status: int, code: str, content: bytes | None = None) -> AWSResponse:
    """An error response of DynamoDB."""
    content = (
        content or json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "private"}).encode()
    )
    headers = HTTPHeaders()
    headers["content-type"] = "application/x-amz-json-1.0"
    return AWSResponse("https://dynamodb.test", status, headers, Body(content))


def corrupt() -> AWSResponse:
    """A success whose checksum does not fit: botocore sends the request again."""
    response = refuse(200, "", b"{}")
    response.headers["x-amz-crc32"] = "1"
    return response


CORRUPT = corrupt()
THROTTLED = refuse(400, "ThrottlingException")
FAILED = refuse(500, "InternalServerError")
LOST = ReadTimeoutError(endpoint_url="https://dynamodb.test")
UNREACHED = ConnectTimeoutError(endpoint_url="https://dynamodb.test")
UNKNOWN_HOST = EndpointConnectionError(endpoint_url="https://dynamodb.test")


@pytest.fixture
def fail(dynamodb: DynamoDBClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Make DynamoDB answer the next attempts of a put with these, one by one; None is a put that works."""
    assert dynamodb
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    client = make_client("dynamodb")  # of its own, as a client that failed much retries no more
    monkeypatch.setattr(store, "client", client)
    answers: list[Answer] = []

    def answer(request: AWSPreparedRequest, **_: object) -> Any:  # noqa: ANN401 (the stubs say None, botocore does not)
        following = answers.pop(0) if answers else None
        if isinstance(following, Exception):
            raise following
        if following:  # moto sees the request all the same: let it not be a put that works
            request.body = b'{"TableName": "none", "Item": {"pk": {"S": "none"}}}'
        return following

    client.meta.events.register_first(EVENT, answer)
    yield lambda *following: answers.extend(following)
    assert answers == []


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param([THROTTLED] * 3, id="throttled"),
        pytest.param([UNREACHED] * 3, id="unreached"),
        pytest.param([UNKNOWN_HOST] * 3, id="unknown host"),
        pytest.param([refuse(400, "AccessDeniedException")], id="access denied"),
        pytest.param([refuse(400, "ResourceNotFoundException")], id="no such table"),
    ],
)
def test_a_put_that_certainly_failed_is_unavailable_and_may_be_sent_again(
    fail: Callable[..., None], answers: list[Answer], dynamodb: DynamoDBClient, logged: list[dict[str, Any]]
) -> None:
    fail(*answers)
    response = handler(make_event({"displayName": SECRET}), CONTEXT)
    assert response["statusCode"] == 503
    assert response["headers"]["Retry-After"] == "1"
    assert "private" not in response["body"]
    assert stored(dynamodb) == []
    assert [line["level"] for line in logged] == ["ERROR", "INFO"]
    assert "put_item" in logged[0]["exception"]
    assert not any(personal in str(logged) for personal in PERSONAL)


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param([LOST] * 3, id="lost"),
        pytest.param([FAILED] * 3, id="failed"),
        pytest.param([LOST, THROTTLED, THROTTLED], id="lost, then throttled"),
        pytest.param(
            [CORRUPT, THROTTLED, THROTTLED], id="applied, with an answer that arrived corrupt, then throttled"
        ),
        pytest.param([refuse(500, "x", b"\xff\xfe")], id="failed, with an answer that cannot be decoded"),
        pytest.param([FAILED, UNREACHED, UNREACHED], id="failed, then unreached"),
    ],
)
def test_a_put_that_may_have_been_applied_is_unknown_and_names_the_session(
    fail: Callable[..., None], answers: list[Answer], logged: list[dict[str, Any]]
) -> None:
    fail(*answers)
    response = handler(make_event({"displayName": SECRET}), CONTEXT)
    status = json.loads(response["body"])["responseStatus"]
    assert (response["statusCode"], status["errorCode"]) == (504, "OutcomeUnknown")
    assert "Retry-After" not in response["headers"]
    assert len(status["message"].split()[1]) == 32
    assert status["message"].split()[1] in logged[0]["exception"]
    assert not any(personal in str(logged) for personal in PERSONAL)


@pytest.mark.parametrize("answers", [[LOST] * 3, [FAILED] * 3, [THROTTLED] * 3, [LOST, THROTTLED, UNREACHED]])
def test_with_a_key_a_put_without_an_answer_may_be_sent_again(
    fail: Callable[..., None], answers: list[Answer], dynamodb: DynamoDBClient
) -> None:
    fail(*answers)
    response = handler(make_event({}, key="k"), CONTEXT)
    status = json.loads(response["body"])["responseStatus"]
    assert (response["statusCode"], status["errorCode"]) == (503, "ServiceUnavailable")
    assert response["headers"]["Retry-After"] == "1"
    assert handler(make_event({}, key="k"), CONTEXT)["statusCode"] == 200
    assert len(stored(dynamodb)) == 1


@pytest.mark.parametrize("key", [None, "k"])
@pytest.mark.parametrize("answers", [[LOST] * 6, [THROTTLED] * 6, [UNREACHED] * 6, [FAILED, LOST, THROTTLED] * 2])
def test_a_put_is_repeated_until_shortly_before_the_functions_timeout(
    fail: Callable[..., None],
    answers: list[Answer],
    key: str | None,
    dynamodb: DynamoDBClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sessions.store.time.sleep", lambda _: None)
    remaining = iter([28_000, 14_001])
    monkeypatch.setattr(CONTEXT, "get_remaining_time_in_millis", lambda: next(remaining))
    fail(*answers)
    status, session = call(make_event({}, key=key))
    assert (status, list(remaining)) == (200, [])
    assert [item["id"] for item in stored(dynamodb)] == [session["id"]]


@pytest.mark.parametrize("answer", [THROTTLED, FAILED, LOST, UNREACHED])
def test_a_put_is_repeated_once_it_failed(fail: Callable[..., None], answer: Answer, dynamodb: DynamoDBClient) -> None:
    fail(answer)
    status, session = call(make_event({}))
    assert status == 200
    assert [item["id"] for item in stored(dynamodb)] == [session["id"]]


def test_a_put_whose_answer_was_lost_after_it_was_applied_is_a_success(
    dynamodb: DynamoDBClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    attempts = []

    def lose_the_first_answer(request: AWSPreparedRequest, **_: object) -> None:
        attempts.append(request)
        if len(attempts) == 1:  # moto applies it, and the answer never comes
            body = json.loads(cast("bytes", request.body))
            dynamodb.put_item(TableName=body["TableName"], Item=body["Item"])
            raise LOST

    monkeypatch.setattr(store, "client", make_client("dynamodb"))
    store.client.meta.events.register_first(EVENT, lose_the_first_answer)
    status, session = call(make_event({}))
    assert (status, len(attempts)) == (200, 2)
    assert [item["id"] for item in stored(dynamodb)] == [session["id"]]


def test_an_existing_session_is_never_overwritten(dynamodb: DynamoDBClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uuid.UUID.hex", "0" * 32)
    _, first = call(make_event({"displayName": "first"}))
    status, body = call(make_event({"displayName": "second"}))
    assert (status, body["responseStatus"]["errorCode"]) == (500, "InternalServerError")
    assert [item["displayName"] for item in stored(dynamodb)] == [first["displayName"]]


def test_a_bug_is_logged_with_its_trace_and_the_client_sees_nothing_of_it(
    monkeypatch: pytest.MonkeyPatch, logged: list[dict[str, Any]]
) -> None:
    monkeypatch.setattr("sessions.store.put_session", lambda *_: 1 / 0)
    status, body = call(make_event({"displayName": SECRET}))
    assert (status, body["responseStatus"]["errorCode"]) == (500, "InternalServerError")
    assert "division" not in json.dumps(body)
    assert [line["level"] for line in logged] == ["ERROR", "INFO"]
    assert "ZeroDivisionError" in logged[0]["exception"]
    assert not any(personal in str(logged) for personal in PERSONAL)
