"""What sessions refer to, and reading them back, over HTTP with tokens of the pool; the roles are enforced."""

import json
from typing import Any

import pytest
from stack.conftest import SignIn, Stack


@pytest.fixture
def dave(sign_in: SignIn) -> str:
    """A token of dave, of the other account."""
    return sign_in("dave@example.com")["AccessToken"]


@pytest.fixture
def parent(stack: Stack, token: str) -> str:
    """The id of a session of acme."""
    session_id: str = stack.post({}, token).json()["id"]
    return session_id


def create(stack: Stack, token: str, **body: object) -> dict[str, Any]:
    reply = stack.post(body, token)
    assert reply.status == 200, reply.data
    session: dict[str, Any] = reply.json()
    return session


def members(session: dict[str, Any]) -> list[str]:
    return [member["identity"] for member in session["members"]]


def test_a_customer_gives_its_name_and_the_way_to_it(stack: Stack, token: str) -> None:
    session = create(stack, token, customerId="northwind-paris")
    assert session["customerName"] == "Northwind Paris"
    assert [each["name"] for each in session["customerBreadcrumb"]] == [
        "Northwind",
        "Northwind EMEA",
        "Northwind Paris",
    ]


def test_members_are_found_by_team_user_and_address_each_once(stack: Stack, token: str) -> None:
    chat = create(stack, token, withAddress="team:support")
    assert (chat["channel"], members(chat)) == ("Chat", ["user:ada", "user:bob", "user:carol"])
    addresses = ["Carol@Example.com", "bob@example.com"]
    chat = create(stack, token, withAddress="user:bob", memberEmailAddresses=addresses)
    assert members(chat) == ["user:ada", "user:bob", "user:carol"]


def test_a_parent_and_a_caller_id_of_the_account_are_accepted(stack: Stack, token: str, parent: str) -> None:
    assert create(stack, token, parentSessionId=parent, fromPhoneNumber="+15550100001")["fromPhoneNumber"]


@pytest.mark.parametrize(
    "field",
    [
        {"customerId": "northwind"},
        {"withAddress": "team:support"},
        {"withAddress": "user:bob"},
        {"fromPhoneNumber": "+15550100001"},
        {"memberEmailAddresses": ["bob@example.com"]},
    ],
    ids="".join,
)
def test_another_account_can_refer_to_nothing_of_this_one(stack: Stack, dave: str, field: dict[str, Any]) -> None:
    reply = stack.post(field, dave)
    assert reply.status == 400
    (error,) = reply.json()["responseStatus"]["errors"]
    assert error["errorCode"] == "NotFound"
    assert error["fieldName"].partition("[")[0] in field


def test_another_account_can_neither_refer_to_a_session_nor_read_it(
    stack: Stack, token: str, dave: str, parent: str
) -> None:
    assert stack.post({"parentSessionId": parent}, dave).status == 400
    assert stack.get(parent, dave).status == 404
    assert stack.get(parent, token).status == 200


@pytest.mark.parametrize("suffix", ["", ".json"])
def test_a_session_is_read_back_byte_for_byte(stack: Stack, token: str, suffix: str) -> None:
    created = stack.post({"withAddress": "team:support", "displayName": "Zoë ☎", "startSession": True}, token)
    got = stack.get(created.json()["id"] + suffix, token)
    assert (got.status, got.data) == (200, created.data)
    assert got.headers["Content-Type"] == "application/json"


def test_reading_takes_a_token_and_the_role(stack: Stack, sign_in: SignIn, parent: str) -> None:
    assert stack.get(parent).status == 401
    assert stack.get(parent, sign_in("guest@example.com")["AccessToken"]).status == 403


def test_a_bad_document_is_answered_with_its_errors(stack: Stack) -> None:
    document = {"accounts": [{"id": "other", "name": "Other", "teams": [{"id": "t", "name": "T", "userIds": ["x"]}]}]}
    reply = stack.client("lambda").invoke(
        FunctionName=stack.outputs()["ImportDirectoryFunctionName"], Qualifier="live", Payload=json.dumps(document)
    )
    errors = [{"path": "accounts[0].teams[0].userIds[0]", "message": "is not a user of the account"}]
    assert json.load(reply["Payload"]) == {"errors": errors}
