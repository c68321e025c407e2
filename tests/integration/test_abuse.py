"""Requests made to break the service, to get at others' data, or to write into its logs and headers.

Elsewhere: the limits, control characters, odd roles and callbacks in tests/unit/test_api.py; a caller's account and
what it may refer to in test_references.py and test_get_session.py; forged tokens in tests/stack.
"""

import json
import logging
from typing import Any

import pytest
from conftest import CONTEXT, make_event, make_get
from mypy_boto3_dynamodb import DynamoDBClient

from sessions import create_session, get_session, wire
from sessions.models import NewSession, SessionInfo

SECRET = "s3cret"
PERSONAL = [SECRET, "Lovelace", "ada@example.com", "Ada's desk"]
FIELDS = [str(field.alias) for field in NewSession.model_fields.values()]
INJECTED = 'x\r\nSet-Cookie: s3cret=1\r\n\r\n{"level":"ERROR","message":"s3cret"}'
FIXED_HEADERS = {"Content-Type", "Cache-Control", "X-Content-Type-Options"}


def scan(dynamodb: DynamoDBClient) -> list[dict[str, Any]]:
    return [wire.from_wire(item) for item in dynamodb.scan(TableName="sessions")["Items"]]


def send(event: dict[str, Any]) -> tuple[int, str]:
    """Status and whole response of a create."""
    response = handler.handler(event, CONTEXT)
    return response["statusCode"], json.dumps(response)


# ------------------------------------------------------------------------------------------------- what cannot be set


def test_nothing_but_the_fields_of_the_contract_is_taken_from_a_body(dynamodb: DynamoDBClient) -> None:
    others = {str(field.alias) for field in SessionInfo.model_fields.values()} - set(FIELDS)
    others |= {"pk", "sk", "fingerprint", "requestId", "accountShard", "userId", "roles", "cognito:groups", "__proto__"}
    casings = {casing(name) for name in others for casing in (str, str.lower, str.upper)}
    event = make_event(dict.fromkeys(casings, SECRET))
    status, response = send(event)
    assert (status, SECRET in response) == (200, False)
    (item,) = scan(dynamodb)
    assert SECRET not in str(item)
    assert item["accountShard"] == f"acme#{item['id'][0]}"
    assert item["requestId"] == event["requestContext"]["requestId"]
    assert "fingerprint" not in item


@pytest.mark.parametrize("place", ["headers", "queryStringParameters", "pathParameters", "stageVariables"])
def test_who_is_calling_comes_from_the_token_only(dynamodb: DynamoDBClient, place: str) -> None:
    forged = {"account_id": "globex", "x-account-id": "globex", "user_id": "dave", "requestid": SECRET}
    assert send(make_event({}) | {place: forged})[0] == 200
    (item,) = scan(dynamodb)
    assert (item["accountId"], item["createdBy"]) == ("acme", "ada")
    without = make_event({}) | {place: forged | {"access_token": SECRET, "authorization": f"Bearer {SECRET}"}}
    del without["requestContext"]["authorizer"]
    assert send(without)[0] == 401


# ------------------------------------------------------------------------------------------------------- other tenants


@pytest.mark.parametrize("field", ["customerId", "parentSessionId", "withAddress", "fromPhoneNumber"])
def test_no_value_of_a_field_names_what_is_another_accounts(directory: DynamoDBClient, field: str) -> None:
    dave = make_event({}, user_id="dave", account_id="globex")
    session_id = json.loads(handler.handler(dave, CONTEXT)["body"])["id"]
    for value in (session_id, f"globex#{session_id}", f"../globex/{session_id}", "ACCOUNT#globex", "initech",
                  "globex#CUSTOMER#initech", "user:dave", "user:../dave", "team:globex#support", "user:x#USER#dave",
                  "+15550200001", "SIGN_IN", "ACCOUNT"):  # fmt: skip
        for key in (None, "k"):
            status, response = send(make_event({field: value}, key))
            assert (status, "Initech" in response, "Dave" in response) == (400, False, False)
    assert len(scan(directory)) == 1


def test_the_same_key_of_two_accounts_or_users_makes_sessions_of_their_own(dynamodb: DynamoDBClient) -> None:
    callers = [("acme", "ada"), ("globex", "ada"), ("acme", "bob"), ('acme","x', "ada"), ("acmea", "da")]
    for account, user in callers:
        assert send(make_event({}, "k", account_id=account, user_id=user))[0] == 200
    items = scan(dynamodb)
    assert sorted((item["accountId"], item["createdBy"]) for item in items) == sorted(callers)
    assert all(item["pk"] == f"{item['accountId']}#{item['id']}" for item in items)


def test_a_known_id_gives_another_account_no_access(dynamodb: DynamoDBClient) -> None:
    assert dynamodb
    session_id = json.loads(handler.handler(make_event({}, "k"), CONTEXT)["body"])["id"]
    for attempt in (session_id, f"acme#{session_id}", f"../acme/{session_id}", f"{session_id}\n"):
        event = make_get(attempt, account_id="globex")
        assert handler.handler(event, CONTEXT)["statusCode"] == 404


# ----------------------------------------------------------------------------------------------------- headers and logs


@pytest.mark.parametrize("field", FIELDS)
def test_no_value_of_a_field_reaches_a_header(dynamodb: DynamoDBClient, field: str) -> None:
    value: object = [INJECTED] if field == "memberEmailAddresses" else INJECTED
    response = handler.handler(make_event({field: value}), CONTEXT)
    assert response["statusCode"] == 400
    assert set(response["headers"]) == FIXED_HEADERS
    assert SECRET not in str(response)
    assert scan(dynamodb) == []


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ({"callback": INJECTED}, {}),
        ({"format": INJECTED}, {}),
        ({"callback": "cb", "format": INJECTED}, {}),
        ({}, {"idempotency-key": INJECTED}),
        ({}, {"idempotency-key": "k\n"}),
        ({}, {"accept": f"text/html;{INJECTED}"}),
        ({"callback": f"alert('{SECRET}')//"}, {}),
    ],
)
def test_no_parameter_and_no_header_reaches_a_header_or_an_error(
    dynamodb: DynamoDBClient, query: dict[str, str], headers: dict[str, str], logged: list[dict[str, Any]]
) -> None:
    event = make_event({}) | {"queryStringParameters": query, "headers": headers}
    response = handler.handler(event, CONTEXT)
    assert response["statusCode"] == (200 if "accept" in headers else 406 if "format" in query else 400)
    assert set(response["headers"]) == FIXED_HEADERS
    assert SECRET not in str(response)
    assert SECRET not in str(logged)
    assert len(scan(dynamodb)) == (1 if response["statusCode"] == 200 else 0)


def test_what_a_log_line_tells_cannot_end_the_line(
    dynamodb: DynamoDBClient, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert dynamodb
    lines: list[str] = []
    for handler in logging.getLogger("sessions").handlers:
        monkeypatch.setattr(handler, "emit", lambda record, to=handler: lines.append(to.format(record)))
    event = make_event({}, account_id=INJECTED)
    event["requestContext"]["requestId"] = INJECTED
    handler.handler(event, CONTEXT)
    (line,) = lines
    assert "\n" not in line
    assert "\r" not in line
    assert json.loads(line)["request_id"] == INJECTED
    assert (json.loads(line)["level"], capsys.readouterr().out) == ("INFO", "")


# ------------------------------------------------------------------------------------- nothing personal, nothing echoed

# Requests that are refused, each with something in it that is nobody else's business, and the status.
REFUSED = [
    (make_event(f'{{"displayName": "{SECRET}'), 400),
    (make_event(f'{{"{SECRET}": }}'), 400),
    (make_event([SECRET]), 400),
    (make_event({name: {SECRET: SECRET} for name in FIELDS}), 400),
    (make_event(dict.fromkeys(FIELDS, SECRET * 100)), 400),
    (make_event({"memberEmailAddresses": [f"{SECRET}@example.com"]}), 400),
    (make_event({"customerId": SECRET, "withAddress": f"user:{SECRET}", "parentSessionId": SECRET}), 400),
    (make_event({"displayName": SECRET, "DISPLAYNAME": SECRET}), 400),
    (make_event({}, f"{SECRET} {SECRET}"), 400),
    (make_event({}, **{"cognito:groups": SECRET}), 403),
    (make_event({}, account_id=f"{SECRET}#"), 403),
    (make_event({}, user_id=None), 403),
    (make_event(SECRET * 20_000), 413),
    (make_event({"displayName": SECRET}, "used"), 422),
    (make_event(1) | {"body": {"displayName": SECRET}}, 500),
]


@pytest.mark.parametrize(("event", "status"), REFUSED, ids=[f"{number}" for number in range(len(REFUSED))])
def test_no_error_repeats_what_was_sent_and_no_log_line_is_personal(
    directory: DynamoDBClient, event: dict[str, Any], status: int, logged: list[dict[str, Any]]
) -> None:
    send(make_event({}, "used"))
    answered, response = send(event)
    assert answered == status
    assert not any(personal in response for personal in PERSONAL)
    assert not any(personal in str(logged) for personal in PERSONAL)
    assert len(scan(directory)) == 1


@pytest.mark.parametrize("body", [{"displayName": SECRET, "toAddress": SECRET}, {"customerId": "northwind"}])
@pytest.mark.parametrize("key", [None, SECRET])
def test_what_fails_is_logged_without_what_is_personal(
    dynamodb: DynamoDBClient, body: dict[str, str], key: str | None, logged: list[dict[str, Any]]
) -> None:
    for table in ("sessions", "directory"):
        dynamodb.delete_table(TableName=table)
    status, response = send(make_event(body, key))
    assert status == 503
    assert [line["level"] for line in logged] == ["ERROR", "INFO"]
    assert not any(personal in response + str(logged) for personal in PERSONAL)


def test_a_bad_item_is_logged_without_its_values(dynamodb: DynamoDBClient, logged: list[dict[str, Any]]) -> None:
    session_id = "0" * 32
    item = {"pk": f"acme#{session_id}", "displayName": SECRET, "direction": SECRET, "log": [{"message": SECRET}]}
    dynamodb.put_item(TableName="sessions", Item=wire.to_wire(item))
    response = handler.handler(make_get(session_id), CONTEXT)
    assert response["statusCode"] == 500
    assert logged[0]["level"] == "ERROR"
    assert SECRET not in str(response) + str(logged)
