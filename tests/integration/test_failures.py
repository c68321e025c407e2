"""The failure table, docs/data/failures.json. A test produces each row and checks its outcome.

`attempts` counts the attempts to call DynamoDB for one request. `seconds` is their time: each slow or unreachable
attempt takes its timeout, other attempts take none, and each pause has its full length.
"""

import json
import re
from collections.abc import Callable
from typing import Any, cast

import pytest
from conftest import CONTEXT, ROOT, load_event, make_end, make_event, make_get
from integration.api import read_error, scan
from integration.dynamodb_faults import (
    CORRUPT,
    CUT_SHORT,
    DENIED,
    EVERY_CALL,
    FAILED,
    HTML,
    INVALID,
    RESET,
    SLOW,
    THROTTLED,
    UNREACHED,
    Applied,
    Changed,
    Fault,
    Network,
    make_answer,
    refuse,
)
from mypy_boto3_dynamodb import DynamoDBClient

from aws.client import ATTEMPT_SECONDS, CALL_SECONDS, ROUNDS_SECONDS
from aws.wire import to_wire
from directory import add_claims
from sessions.authentication import authenticate
from sessions.handler import handler
from sessions.idempotency import derive_session_id

type MakeRequest = Callable[[str], dict[str, Any]] | None

ROWS: list[dict[str, Any]] = json.loads((ROOT / "docs/data/failures.json").read_text())
OPERATIONS = {"put": "PutItem", "lookup": "BatchGetItem", "read": "GetItem", "end": "UpdateItem"}
# A GET and an end both read the session first.
REQUESTS: dict[str, list[MakeRequest]] = {"read": [make_get, make_end], "end": [make_end]}
# What is stored after an unknown outcome, if DynamoDB applied no attempt, and if it applied the first one.
PERHAPS = {"perhaps": ["nothing", "the session"], "perhaps ended": ["the session", "the ended session"]}
CASES = [
    pytest.param(
        row | {"stored": stored, "applied": applied == 1},
        make,
        id=", ".join([row["failure"], *([make.__name__] if make else []), *(["applied"] if applied else [])]),
    )
    for row in ROWS
    for make in REQUESTS.get(row["failure"].partition(": ")[0], [None])
    for applied, stored in enumerate(PERHAPS.get(row["stored"], [row["stored"]]))
    if "dripping" not in row["failure"]
]
UNPROCESSED = {
    "Responses": {},
    "UnprocessedKeys": {"directory": {"Keys": [to_wire({"pk": "ACCOUNT#acme", "sk": "CUSTOMER#northwind"})]}},
}

# The faults that any operation can meet. The other situations are in `break_down`.
FAULTS: dict[str, Fault | Applied | Changed] = {
    "throttled": THROTTLED,
    "unreachable": UNREACHED,
    "access denied": DENIED,
    "clock skew": refuse(400, "InvalidSignatureException"),
    "5xx": FAILED,
    "5xx after the write": Applied(FAILED),
    "slow": SLOW,
    "reset": RESET,
    "reset before the write": RESET,
    "reset after the write": Applied(RESET),
    "applied twice": Applied(),
    "cut short": CUT_SHORT,
    "corrupt answer": CORRUPT,
    "answered by something else": HTML,
    "invalid request": INVALID,
    "changed by another request": Changed(),
    "keys left unprocessed": make_answer(200, UNPROCESSED | {"ConsumedCapacity": []}),
}


def make_request(where: str, what: str) -> dict[str, Any]:
    """Return the create that meets the situation of a row."""
    if where == "lookup":
        return make_event({"customerId": "northwind"})
    event = make_event({"displayName": "s3cret"}, "k" if where == "replay" or what.endswith("with a key") else None)
    if what == "malformed":
        event["body"] = 1
    elif what == "no claims":
        del event["requestContext"]["authorizer"]
    return event


def break_down(where: str, what: str, session_id: str, network: Network, *, applied: bool) -> None:
    """Produce the situation of a row. `applied`: DynamoDB applies the call before the fault."""
    name, *modes = what.split(", ")
    if name in FAULTS:
        fault = Applied(cast("Fault", FAULTS[name])) if applied else FAULTS[name]
        network.inject(OPERATIONS[where], *[fault] * (1 if "once" in modes else EVERY_CALL))
    elif what == "table missing":
        network.dynamodb.delete_table(TableName="sessions" if where in {"put", "read"} else "directory")
    elif what == "bad item":
        item = {"pk": f"acme#{session_id}", "id": session_id}
        network.dynamodb.put_item(TableName="sessions", Item=to_wire(item))
    elif what == "bad entry":
        key = {"pk": "ACCOUNT#acme", "sk": "CUSTOMER#northwind"}
        network.dynamodb.put_item(TableName="directory", Item=to_wire(key))


def send(where: str, what: str, make: MakeRequest, network: Network, *, applied: bool) -> dict[str, Any]:
    """Return the response to the request of a row. `make` is for a session that exists."""
    request = make_request(where, what)
    session_id = derive_session_id(authenticate(make_event()), "k")
    if make:
        session_id = json.loads(handler(request, CONTEXT)["body"])["id"]
        request = make(session_id)
        network.calls.clear()
    break_down(where, what, session_id, network, applied=applied)
    if where == "sign-in":
        with pytest.raises(Exception, match="ResourceNotFoundException"):
            add_claims.handler(load_event("add-claims"), CONTEXT)
        return {}
    return handler(request, CONTEXT)


def check_response(row: dict[str, Any], response: dict[str, Any], logged: list[dict[str, Any]]) -> None:
    """Check what the client sees and what the log contains."""
    status, _, code = row["client"].partition(" ")
    body = json.loads(response["body"] or "{}")
    assert (response["statusCode"], body.get("responseStatus", {}).get("errorCode", "")) == (int(status), code)
    assert response["headers"].get("Retry-After") == ("1" if code == "ServiceUnavailable" else None)
    assert "Idempotent-Replayed" not in response["headers"]
    assert not any(private in response["body"] for private in ("private", "Traceback", "Error:"))
    levels = [line["level"] for line in logged]
    assert (levels[-1], levels.count("ERROR")) == ("INFO", row["operator"] == "ERROR")
    assert "Traceback" in logged[-2]["exception"] if row["operator"] == "ERROR" else True
    assert not any(personal in str(logged) for personal in ("s3cret", "Lovelace", "ada@example.com"))
    if (
        row["failure"].startswith(("put:", "end:")) and code != "InternalServerError"
    ):  # the log and a 504 name the session
        (session_id,) = {line["session_id"] for line in logged}
        assert re.fullmatch("[0-9a-f]{32}", session_id)
        assert code != "OutcomeUnknown" or session_id in body["responseStatus"]["message"]


@pytest.mark.parametrize(("row", "make"), CASES)
def test_a_failure_has_the_outcome_attempts_and_seconds_of_its_row(
    row: dict[str, Any],
    make: MakeRequest,
    directory: DynamoDBClient,
    network: Network,
    logged: list[dict[str, Any]],
) -> None:
    where, _, what = row["failure"].partition(": ")
    response = send(where, what, make, network, applied=row["applied"])
    if response:
        check_response(row, response, logged)
    assert (len(network.calls), round(network.seconds, 3)) == (row["attempts"], row["seconds"])
    items = scan(directory) if "sessions" in directory.list_tables()["TableNames"] else []
    if row["stored"] == "nothing":
        assert items == []
    elif row["stored"] == "the bad item":
        assert [set(item) for item in items] == [{"pk", "id"}]
    else:
        assert [item["displayName"] for item in items] == ["s3cret"]
        assert [item["ended"] for item in items] == [row["stored"] == "the ended session"]
    if where == "end":
        check_end(response["statusCode"], items[0], network, logged)


def check_end(status: int, item: dict[str, Any], network: Network, logged: list[dict[str, Any]]) -> None:
    """Check that an end has one log entry and is counted once, and that the next end succeeds."""
    assert [entry["message"] for entry in item["log"][1:]] == ["Session ended by Ada Lovelace"] * item["ended"]
    assert ["SessionsEnded" in line for line in logged].count(True) == (status == 204)
    network.faults.clear()
    assert handler(make_end(item["id"]), CONTEXT)["statusCode"] == 204
    [ended] = scan(network.dynamodb)
    assert (ended["ended"], len(ended["log"])) == (True, 2)
    assert ended == item or not item["ended"]


def test_a_dripping_answer_ends_with_the_functions_timeout(template: dict[str, Any]) -> None:
    """CASES omits only this row. Each byte starts botocore's timeout again, so Lambda ends the call."""
    (row,) = [row for row in ROWS if "dripping" in row["failure"]]
    assert row["seconds"] == template["Resources"]["SessionsFunction"]["Properties"]["Timeout"]


def test_each_fault_of_dynamodb_is_in_the_table() -> None:
    assert set(FAULTS) <= {row["failure"].partition(": ")[2].partition(",")[0] for row in ROWS}


@pytest.mark.parametrize("seconds", [0, 0.5, 1, 1.5, 2, 2.5, ATTEMPT_SECONDS])
@pytest.mark.parametrize("fault", [SLOW, UNREACHED])
def test_a_call_ends_in_8_seconds_and_its_rounds_in_13_whatever_each_attempt_takes(
    directory: DynamoDBClient, network: Network, fault: Fault, seconds: float
) -> None:
    network.seconds_of_a_fault = seconds
    network.inject("PutItem", *[fault] * EVERY_CALL)
    handler(make_event({}), CONTEXT)
    assert network.seconds <= CALL_SECONDS == 8
    network.seconds = 0
    network.inject("BatchGetItem", *[fault, FAULTS["keys left unprocessed"]] * EVERY_CALL)
    handler(make_event({"customerId": "northwind"}), CONTEXT)
    assert network.seconds <= ROUNDS_SECONDS == 13
    assert scan(directory) == []

    network.faults.clear()
    session_id = json.loads(handler(make_event({}), CONTEXT)["body"])["id"]
    network.seconds = 0
    network.inject("UpdateItem", *[fault, Changed()] * EVERY_CALL)
    handler(make_end(session_id), CONTEXT)
    assert network.seconds <= ROUNDS_SECONDS


# Answers that are incomplete, or not from DynamoDB. `{}` with a status 500 is an error of DynamoDB without a code.
FOREIGN = [
    *(make_answer(200, content) for content in (b"{}", b"[]", b"null", b'"ok"', b"1", b'{"Item": {', b"\xff\xfe")),
    make_answer(200, {"ConsumedCapacity": {}}, **{"x-amz-crc32": ""}),  # the connection ended within the header
    *(make_answer(status, b"<html>") for status in (200, 301, 302, 500, 502, 503)),
    *(make_answer(500, content) for content in (b"", b"{}", b"[]", b"\xff\xfe")),
]


@pytest.mark.parametrize(("where", "error"), [("put", "504 OutcomeUnknown"), ("lookup", "503 ServiceUnavailable")])
@pytest.mark.parametrize("answer", FOREIGN)
def test_an_answer_that_is_not_from_dynamodb_is_not_believed(
    dynamodb: DynamoDBClient, network: Network, answer: Fault, where: str, error: str
) -> None:
    network.inject(OPERATIONS[where], *[answer] * EVERY_CALL)
    status, code = read_error(make_request(where, ""))
    assert (f"{status} {code}", network.calls) == (error, [OPERATIONS[where]] * 4)
    assert scan(dynamodb) == []
