"""References to records of the directory, and reads of sessions, over HTTP with tokens of the pool."""

import pytest
from stack.conftest import SignIn, Stack


@pytest.fixture
def dave(sign_in: SignIn) -> str:
    """A token of dave, who belongs to another account."""
    return sign_in("dave@example.com")["AccessToken"]


@pytest.fixture
def parent(stack: Stack, token: str) -> str:
    """The id of a session of acme."""
    session_id: str = stack.post({}, token).json()["id"]
    return session_id


def test_a_session_contains_the_records_that_the_request_refers_to(stack: Stack, token: str, parent: str) -> None:
    reply = stack.post(
        {
            "customerId": "northwind-paris",
            "fromPhoneNumber": "+15550100001",
            "memberEmailAddresses": ["Carol@Example.com", "ada@example.com"],
            "parentSessionId": parent,
            "withAddress": "team:support",
        },
        token,
    )
    session = reply.json()
    assert reply.status == 200
    assert (session["channel"], session["fromPhoneNumber"]) == ("Chat", "+15550100001")
    assert session["customerName"] == "Northwind Paris"
    names = [each["name"] for each in session["customerBreadcrumb"]]
    assert names == ["Northwind", "Northwind EMEA", "Northwind Paris"]
    assert [member["identity"] for member in session["members"]] == ["user:ada", "user:bob", "user:carol"]


def test_another_account_cannot_refer_to_records_and_sessions_or_read_a_session(
    stack: Stack, token: str, dave: str, parent: str
) -> None:
    reply = stack.post(
        {
            "customerId": "northwind",
            "fromPhoneNumber": "+15550100001",
            "memberEmailAddresses": ["bob@example.com"],
            "parentSessionId": parent,
            "withAddress": "team:support",
        },
        dave,
    )
    assert reply.status == 400
    assert {(each["fieldName"], each["errorCode"]) for each in reply.json()["responseStatus"]["errors"]} == {
        ("customerId", "NotFound"),
        ("fromPhoneNumber", "NotFound"),
        ("memberEmailAddresses[0]", "NotFound"),
        ("parentSessionId", "NotFound"),
        ("withAddress", "NotFound"),
    }
    assert stack.get(parent, dave).status == 404
    assert stack.get(parent, token).status == 200


@pytest.mark.parametrize("suffix", ["", ".json"])
def test_a_read_returns_the_same_bytes_as_the_create(stack: Stack, token: str, suffix: str) -> None:
    created = stack.post({"withAddress": "team:support", "displayName": "Zoë ☎", "startSession": True}, token)
    read = stack.get(created.json()["id"] + suffix, token)
    assert (read.status, read.data) == (200, created.data)
    assert read.headers["Content-Type"] == "application/json"


def test_a_read_requires_a_token_and_the_role(stack: Stack, sign_in: SignIn, parent: str) -> None:
    assert stack.get(parent).status == 401
    assert stack.get(parent, sign_in("guest@example.com")["AccessToken"]).status == 403
