"""The table of failures in docs/operations.md: each row is made to happen, and must turn out as the row says."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ConnectionClosedError, ConnectTimeoutError, HTTPClientError, ReadTimeoutError
from conftest import CONTEXT, ROOT, load_event, make_event, make_get
from mypy_boto3_dynamodb import DynamoDBClient

from directory import add_claims
from aws import wire
from sessions import handler, store
from sessions.authentication import authenticate
from aws.client import make_client
from sessions.idempotency import derive_session_id

URL = "https://dynamodb.test"
ROWS = [
    [cell.strip() for cell in row.split("|")[1:-1]]
    for row in re.findall(r"^\| [a-z-]+: .*", (ROOT / "docs/operations.md").read_text(), re.MULTILINE)
]
OPERATIONS = {"put": "PutItem", "lookup": "BatchGetItem", "get": "GetItem"}

type Fault = Callable[[], AWSResponse]


def refuse(status: int, code: str) -> Fault:
    return lambda: make_answer(status, json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}"}).encode())


def lose(error: type[HTTPClientError | ConnectTimeoutError]) -> Fault:
    def fail() -> AWSResponse:
        raise error(endpoint_url=URL)

    return fail


class Body:
    """The body of an HTTP response, as botocore reads it."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def stream(self) -> Iterator[bytes]:
        yield self.content


def make_answer(status: int, content: bytes) -> AWSResponse:
    return AWSResponse(URL, status, HTTPHeaders(), Body(content))


# How DynamoDB's answers fail, whichever call it is. The other situations are in `send`.
FAULTS: dict[str, Fault] = {
    "throttled": refuse(400, "ThrottlingException"),
    "5xx": refuse(500, "InternalServerError"),
    "reset": lose(ConnectionClosedError),
    "reset before the write": lose(ConnectionClosedError),
    "reset after the write": lose(ConnectionClosedError),
    "reset after the write, once": lose(ConnectionClosedError),
    "cut short": lambda: make_answer(200, b""),
    "slow": lose(ReadTimeoutError),
    "slow, with a key": lose(ReadTimeoutError),
    "unreachable": lose(ConnectTimeoutError),
    "access denied": refuse(400, "AccessDeniedException"),
    "clock skew": refuse(400, "InvalidSignatureException"),
}


def inject(what: str, operation: str, dynamodb: DynamoDBClient) -> None:
    """Make each attempt of an operation fail in this way; or the first one only, if it is `once`."""
    faults = [FAULTS[what]] * (1 if what.endswith("once") else 9)

    def answer(request: AWSPreparedRequest, **_: object) -> Any:  # noqa: ANN401 (the stubs say None)
        if not faults:
            return None
        content = json.loads(cast("bytes", request.body))
        if what.startswith("reset after"):
            dynamodb.put_item(TableName=content["TableName"], Item=content["Item"])
        request.body = b'{"TableName": "none", "Item": {"pk": {"S": ""}}, "Key": {}, "RequestItems": {}}'  # for moto
        return faults.pop()()

    store.client.meta.events.register_first(f"before-send.dynamodb.{operation}", answer)


def scan(dynamodb: DynamoDBClient) -> list[dict[str, Any]]:
    return [wire.from_wire(item) for item in dynamodb.scan(TableName="sessions")["Items"]]


def make_request(where: str, what: str) -> dict[str, Any]:
    """The create that meets the situation of a row."""
    if where == "lookup":
        return make_event({"customerId": "northwind"})
    event = make_event({"displayName": "x"}, "k" if where == "replay" or what.endswith("key") else None)
    if what == "malformed":
        event["body"] = 1
    elif what == "no claims":
        del event["requestContext"]["authorizer"]
    return event


def break_down(where: str, what: str, session_id: str, dynamodb: DynamoDBClient) -> None:
    """Bring a row's situation about."""
    if what in FAULTS:
        inject(what, OPERATIONS[where], dynamodb)
    elif what == "table missing":
        dynamodb.delete_table(TableName="directory" if where == "lookup" else "sessions")
    elif what == "bad item":
        dynamodb.put_item(TableName="sessions", Item=wire.to_wire({"pk": f"acme#{session_id}", "id": session_id}))
    elif what == "bad entry":
        key = {"pk": "ACCOUNT#acme", "sk": "CUSTOMER#northwind"}
        dynamodb.put_item(TableName="directory", Item=wire.to_wire(key))


def send(where: str, what: str, dynamodb: DynamoDBClient) -> dict[str, Any]:
    """The response to a request of a row, in its situation."""
    create = make_request(where, what)
    if where == "get":
        session_id = json.loads(handler.handler(create, CONTEXT)["body"])["id"]
        break_down(where, what, session_id, dynamodb)
        return handler.handler(make_get(session_id), CONTEXT)
    break_down(where, what, derive_session_id(authenticate(make_event()), "k"), dynamodb)
    return handler.handler(create, CONTEXT)


@pytest.mark.parametrize("row", ROWS, ids=[name for name, *_ in ROWS])
def test_a_failure_turns_out_as_documented(
    row: list[str], directory: DynamoDBClient, monkeypatch: pytest.MonkeyPatch, logged: list[dict[str, Any]]
) -> None:
    name, seen, stored, told = row
    where, what = name.split(": ")
    if where == "sign-in":
        directory.delete_table(TableName="directory")
        with pytest.raises(Exception, match="ResourceNotFoundException"):
            add_claims.handler(load_event("add-claims"), CONTEXT)
        return
    monkeypatch.setattr("time.sleep", lambda _: None)
    monkeypatch.setattr(store, "client", make_client("dynamodb"))
    response = send(where, what, directory)

    body = json.loads(response["body"])
    status, _, code = seen.partition(" ")
    assert (response["statusCode"], body.get("responseStatus", {}).get("errorCode", "")) == (int(status), code)
    assert response["headers"].get("Retry-After") == ("1" if code == "ServiceUnavailable" else None)
    levels = [line["level"] for line in logged]
    assert levels[-2 if told == "ERROR" else -1 :] == ["ERROR", "INFO"][-2 if told == "ERROR" else 1 :]
    assert ("ERROR" in levels) == (told == "ERROR")
    if where == "put":  # whoever asks about the session finds the request
        (session_id,) = {line["session_id"] for line in logged}
        assert re.fullmatch("[0-9a-f]{32}", session_id)
        assert code != "OutcomeUnknown" or session_id in body["responseStatus"]["message"]
    items = scan(directory) if "sessions" in directory.list_tables()["TableNames"] else []
    if stored == "nothing":
        assert items == []
    elif stored == "the session":
        assert [item["displayName"] for item in items] == ["x"]
    elif stored == "the bad item":
        assert [set(item) for item in items] == [{"pk", "id"}]
    else:
        assert stored == "perhaps"


def test_each_way_in_which_dynamodb_fails_is_in_the_table() -> None:
    assert set(FAULTS) <= {name.split(": ")[1] for name, *_ in ROWS}
