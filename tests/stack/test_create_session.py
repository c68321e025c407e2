"""POST /sessions over HTTP, through the authorizer of the gateway, the deployed function, its role and the tables."""

import base64
import json

import pytest
from stack.conftest import SignIn, Stack, run

from sessions.models import SessionInfo

# The sample request of the contract, without the five fields that refer to records of the account.
SAMPLE = {
    "displayName": "String",
    "channel": "Voice",
    "direction": "Incoming",
    "callState": "Disconnected",
    "fromAddress": "String",
    "fromName": "String",
    "toAddress": "String",
    "destination": "String",
    "startSession": False,
}


def tamper(token: str) -> str:
    """Return the token with another account in its claims, and its old signature."""
    head, claims, signature = token.split(".")
    decoded = json.loads(base64.urlsafe_b64decode(claims + "=="))
    changed = base64.urlsafe_b64encode(json.dumps(decoded | {"account_id": "globex"}).encode()).decode().rstrip("=")
    return f"{head}.{changed}.{signature}"


def count_sessions(stack: Stack) -> int:
    return int(stack.table("SessionsTableName").scan(Select="COUNT", ConsistentRead=True)["Count"])


def test_a_token_with_changed_claims_is_refused(stack: Stack, token: str) -> None:
    assert stack.post({}, tamper(token)).status == 401


@pytest.mark.parametrize(
    "email",
    [
        pytest.param("guest@example.com", id="in the account, without the role"),
        pytest.param("stranger@example.com", id="with the role, unknown to the Directory"),
    ],
)
@pytest.mark.parametrize("kind", ["AccessToken", "IdToken"])
def test_a_user_without_the_role_or_an_account_is_forbidden(
    stack: Stack, sign_in: SignIn, email: str, kind: str
) -> None:
    reply = stack.post({}, sign_in(email)[kind])
    assert reply.status == 403
    assert reply.json()["responseStatus"]["errorCode"] == "Forbidden"


@pytest.mark.parametrize("parameter", ["access_token", "token", "Authorization", "jwt", "id_token"])
def test_a_token_in_a_query_string_is_not_accepted_and_not_logged(stack: Stack, token: str, parameter: str) -> None:
    before = count_sessions(stack)
    assert stack.send("POST", f"/sessions?{parameter}={token}", "{}").status == 401
    assert stack.send("POST", f"/sessions?{parameter}={token}", "{}", token).status == 200
    assert count_sessions(stack) == before + 1
    assert token not in run(stack.state, "logs").stdout


def test_an_empty_request_creates_a_session_with_the_defaults(stack: Stack, token: str) -> None:
    reply = stack.post({}, token)
    session = reply.json()
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "application/json"
    assert (session["direction"], session["callState"]) == ("Outgoing", "Connected")
    assert (session["fromAddress"], session["createdBy"]) == ("ada@example.com", "ada")
    assert (session["accountId"], session["accountName"], session["endpointId"]) == ("acme", "Acme Corp", "ep-ada")
    assert SessionInfo.model_validate(session).model_dump(mode="json", exclude_none=True) == session


@pytest.mark.parametrize("kind", ["AccessToken", "IdToken"])
def test_access_tokens_and_id_tokens_both_work(stack: Stack, sign_in: SignIn, kind: str) -> None:
    reply = stack.post({}, sign_in("dave@example.com")[kind])
    assert reply.status == 200
    assert (reply.json()["accountId"], reply.json()["createdBy"]) == ("globex", "dave")


def test_the_sample_request_of_the_contract_works(stack: Stack, token: str) -> None:
    reply = stack.post(SAMPLE, token)
    session = reply.json()
    assert reply.status == 200
    assert {name: session[name] for name in SAMPLE if name in session} == {
        name: value for name, value in SAMPLE.items() if name != "startSession"
    }
    assert session["ended"] is True
    assert session["dateCompleted"] == session["dateCreated"]
