"""Attacks: requests that try to break the service, to reach data of others, or to write into its logs and headers.

Other tests of attacks: tests/unit (limits, control characters, roles, callbacks), test_references.py and
test_get_session.py (records and sessions of other accounts), and tests/stack (forged tokens).
"""

import json
import logging
from typing import Any

import pytest
from conftest import CONTEXT, load_event, make_event, make_get
from integration.api import scan
from mypy_boto3_dynamodb import DynamoDBClient

from aws.wire import to_wire
from sessions.handler import handler
from sessions.models import NewSession, SessionInfo

SECRET = "s3cret"
PERSONAL = [SECRET, "Lovelace", "ada@example.com", "Ada's desk"]
FIELDS = [str(field.alias) for field in NewSession.model_fields.values()]
INJECTED = 'x\r\nSet-Cookie: s3cret=1\r\n\r\n{"level":"ERROR","message":"s3cret"}'
FIXED_HEADERS = {"Content-Type", "Cache-Control", "X-Content-Type-Options"}


def create(event: dict[str, Any]) -> tuple[int, str]:
    """Return the status and the whole response of a create."""
    response = handler(event, CONTEXT)
    return response["statusCode"], json.dumps(response)


# ------------------------------------------------------------------------------------- values that no client can set


def test_a_create_stores_only_the_fields_of_the_contract(dynamodb: DynamoDBClient) -> None:
    others = {str(field.alias) for field in SessionInfo.model_fields.values()} - set(FIELDS)
    others |= {"pk", "sk", "fingerprint", "writeId", "accountShard", "expiresAt", "userId", "roles"}
    others |= {"cognito:groups", "__proto__"}
    casings = {casing(name) for name in others for casing in (str, str.lower, str.upper)}
    status, response = create(make_event(dict.fromkeys(casings, SECRET)))
    assert (status, SECRET in response) == (200, False)
    (item,) = scan(dynamodb)
    assert SECRET not in str(item)
    assert item["accountShard"] == f"acme#{item['id'][0]}"
    assert "fingerprint" not in item


@pytest.mark.parametrize("place", ["headers", "queryStringParameters", "pathParameters", "stageVariables"])
def test_the_caller_comes_from_the_token_only(dynamodb: DynamoDBClient, place: str) -> None:
    forged = {"account_id": "globex", "x-account-id": "globex", "user_id": "dave", "requestid": SECRET}
    assert create(make_event({}) | {place: forged})[0] == 200
    (item,) = scan(dynamodb)
    assert (item["accountId"], item["createdBy"]) == ("acme", "ada")
    without = make_event({}) | {place: forged | {"access_token": SECRET, "authorization": f"Bearer {SECRET}"}}
    del without["requestContext"]["authorizer"]
    assert create(without)[0] == 401


# ------------------------------------------------------------------------------------------------------- other tenants


@pytest.mark.parametrize("field", ["customerId", "parentSessionId", "withAddress", "fromPhoneNumber"])
def test_no_value_of_a_field_reaches_another_account(directory: DynamoDBClient, field: str) -> None:
    dave = make_event({}, user_id="dave", account_id="globex")
    session_id = json.loads(handler(dave, CONTEXT)["body"])["id"]
    for value in (session_id, f"globex#{session_id}", f"../globex/{session_id}", "ACCOUNT#globex", "initech",
                  "globex#CUSTOMER#initech", "user:dave", "user:../dave", "team:globex#support", "user:x#USER#dave",
                  "+15550200001", "SIGN_IN", "ACCOUNT"):  # fmt: skip
        for key in (None, "k"):
            status, response = create(make_event({field: value}, key))
            assert (status, "Initech" in response, "Dave" in response) == (400, False, False)
    assert len(scan(directory)) == 1


# ----------------------------------------------------------------------------------------------------- headers and logs


@pytest.mark.parametrize("field", FIELDS)
def test_no_value_of_a_field_reaches_a_header(dynamodb: DynamoDBClient, field: str) -> None:
    value: object = [INJECTED] if field == "memberEmailAddresses" else INJECTED
    response = handler(make_event({field: value}), CONTEXT)
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
def test_no_value_of_a_parameter_or_header_reaches_a_response_header_or_an_error(
    dynamodb: DynamoDBClient, query: dict[str, str], headers: dict[str, str], logged: list[dict[str, Any]]
) -> None:
    event = make_event({}) | {"queryStringParameters": query, "headers": headers}
    response = handler(event, CONTEXT)
    assert response["statusCode"] == (200 if "accept" in headers else 406 if "format" in query else 400)
    assert set(response["headers"]) == FIXED_HEADERS
    assert SECRET not in str(response)
    assert SECRET not in str(logged)
    assert len(scan(dynamodb)) == (1 if response["statusCode"] == 200 else 0)


def test_no_value_of_a_request_can_start_a_new_log_line(
    dynamodb: DynamoDBClient, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert dynamodb
    lines: list[str] = []
    for each in logging.getLogger("sessions").handlers:
        monkeypatch.setattr(each, "emit", lambda record, to=each: lines.append(to.format(record)))
    event = make_event({}, account_id=INJECTED)
    event["requestContext"]["requestId"] = INJECTED
    handler(event, CONTEXT)
    (line,) = lines
    assert "\n" not in line
    assert "\r" not in line
    assert json.loads(line)["request_id"] == INJECTED
    assert (json.loads(line)["level"], capsys.readouterr().out) == ("INFO", "")


# ------------------------------------------------------------------------------------- nothing personal, nothing echoed

# Requests with private values, and the error that each one gets.
SERIALIZATION, VALIDATION = (400, "SerializationException"), (400, "ValidationException")
UNAUTHORIZED, FORBIDDEN = (401, "Unauthorized"), (403, "Forbidden")
REFUSED = [
    (make_event(SECRET), SERIALIZATION),
    (make_event(f'{{"displayName": "{SECRET}'), SERIALIZATION),
    (make_event(f'{{"{SECRET}": }}'), SERIALIZATION),
    (make_event([SECRET]), SERIALIZATION),
    (make_event({name: {SECRET: SECRET} for name in FIELDS}), VALIDATION),
    (make_event(dict.fromkeys(FIELDS, SECRET * 100)), VALIDATION),
    (make_event({"memberEmailAddresses": [f"{SECRET}@example.com"]}), VALIDATION),
    (make_event({"customerId": SECRET, "withAddress": f"user:{SECRET}", "parentSessionId": SECRET}), VALIDATION),
    (make_event({"displayName": SECRET, "DISPLAYNAME": SECRET}), VALIDATION),
    (make_event({}, f"{SECRET} {SECRET}"), VALIDATION),
    ({}, UNAUTHORIZED),
    (load_event("create-session") | {"requestContext": {}}, UNAUTHORIZED),
    (make_event({}, **{"cognito:groups": SECRET}), FORBIDDEN),
    (make_event({}, **{"cognito:groups": "[Admin]"}), FORBIDDEN),
    (make_event({}, account_id=f"{SECRET}#"), FORBIDDEN),
    (make_event({}, user_id=None), FORBIDDEN),
    (make_event(SECRET * 20_000), (413, "RequestTooLarge")),
    (make_event({"displayName": SECRET}, "used"), (422, "IdempotencyKeyReused")),
    (make_event(1) | {"body": {"displayName": SECRET}}, (500, "InternalServerError")),
]


@pytest.mark.parametrize(("event", "error"), REFUSED, ids=[f"{number}" for number in range(len(REFUSED))])
def test_a_refused_request_stores_nothing_and_its_values_reach_no_error_and_no_log_line(
    directory: DynamoDBClient, event: dict[str, Any], error: tuple[int, str], logged: list[dict[str, Any]]
) -> None:
    create(make_event({}, "used"))
    logged.clear()
    response = handler(event, CONTEXT)
    assert (response["statusCode"], json.loads(response["body"])["responseStatus"]["errorCode"]) == error
    assert not any(personal in str(response) for personal in PERSONAL)
    assert not any(personal in str(logged) for personal in PERSONAL)
    assert [line["level"] for line in logged] == (["ERROR", "INFO"] if error[0] == 500 else ["INFO"])
    assert (logged[-1]["status"], logged[-1]["message"]) == error
    assert len(scan(directory)) == 1


@pytest.mark.parametrize("body", [{"displayName": SECRET, "toAddress": SECRET}, {"customerId": "northwind"}])
@pytest.mark.parametrize("key", [None, SECRET])
def test_a_failure_is_logged_without_personal_values(
    dynamodb: DynamoDBClient, body: dict[str, str], key: str | None, logged: list[dict[str, Any]]
) -> None:
    for table in ("sessions", "directory"):
        dynamodb.delete_table(TableName=table)
    status, response = create(make_event(body, key))
    assert status == 503
    assert [line["level"] for line in logged] == ["ERROR", "INFO"]
    assert not any(personal in response + str(logged) for personal in PERSONAL)


def test_a_bad_item_is_logged_without_its_values(dynamodb: DynamoDBClient, logged: list[dict[str, Any]]) -> None:
    session_id = "0" * 32
    item = {"pk": f"acme#{session_id}", "displayName": SECRET, "direction": SECRET, "log": [{"message": SECRET}]}
    dynamodb.put_item(TableName="sessions", Item=to_wire(item))
    response = handler(make_get(session_id), CONTEXT)
    assert response["statusCode"] == 500
    assert logged[0]["level"] == "ERROR"
    assert SECRET not in str(response) + str(logged)
