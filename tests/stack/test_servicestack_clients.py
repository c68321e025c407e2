"""The unmodified ServiceStack clients of npm and PyPI. Their only settings are a base URL and a token."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from boto3.dynamodb.conditions import Attr
from clients.dtos import (
    EVERY_FIELD,
    EndSession,
    FlowChannels,
    GetSession,
    NewSession,
    SessionCallState,
    SessionDialState,
    SessionDirections,
    SessionInfo,
)
from conftest import ROOT
from servicestack import JsonServiceClient, WebServiceException
from stack.conftest import Stack

type Connect = Callable[..., JsonServiceClient]


def make_full_request(stack: Stack, token: str, display_name: str) -> dict[str, Any]:
    """Return a request with every field of the contract. The account has the records that it refers to."""
    parent = stack.post({}, token).json()
    return EVERY_FIELD | {"displayName": display_name, "parentSessionId": parent["id"]}


def find_items(stack: Stack, display_name: str) -> list[dict[str, Any]]:
    """Return the stored sessions with a display name."""
    named = Attr("displayName").eq(display_name)
    return stack.table("SessionsTableName").scan(FilterExpression=named, ConsistentRead=True)["Items"]


@pytest.fixture
def connect(stack: Stack, token: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connect]:
    """A function that creates clients for Python."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    clients = []

    def connect(token: str = token) -> JsonServiceClient:
        clients.append(JsonServiceClient(stack.base_url).set_bearer_token(token))
        return clients[-1]

    yield connect
    for client in clients:
        client._session.close()  # noqa: SLF001 (it has no public close)


@pytest.mark.parametrize(
    ("send", "path"),
    [
        (lambda client, request: client.post(request), "/api/NewSession"),
        (lambda client, request: client.set_base_path("").post(request), "/json/reply/NewSession"),
        (lambda client, request: client.post_url("/sessions", request), "/sessions"),
    ],
    ids=["default path", "empty base path", "path given"],
)
def test_the_python_client_creates_a_session(
    stack: Stack, connect: Connect, send: Callable[[JsonServiceClient, NewSession], SessionInfo], path: str
) -> None:
    urls = []
    client = connect()
    client.response_filter = lambda response: urls.append(response.url)
    session = send(client, NewSession(channel=FlowChannels.FAX))
    assert urls == [stack.base_url + path]
    assert isinstance(session, SessionInfo)
    assert (session.channel, session.call_state) == (FlowChannels.FAX, SessionCallState.CONNECTED)
    assert session.members[0].display_name == "Ada Lovelace"


@pytest.mark.parametrize(("base_path", "path"), [("api", "/api"), ("", "/json/reply")])
def test_the_python_client_reads_and_ends_a_session_by_typed_requests(
    stack: Stack, connect: Connect, base_path: str, path: str
) -> None:
    client, urls = connect().set_base_path(base_path), list[str]()
    client.response_filter = lambda response: urls.append(response.url)
    session_id = client.post(NewSession()).id
    assert client.get(GetSession(session_id)).ended is False
    assert client.delete(EndSession(session_id)) is None
    ended = client.get(GetSession(session_id))
    assert (ended.ended, ended.call_state) == (True, SessionCallState.DISCONNECTED)
    assert ended.log[-1].message == "Session ended by Ada Lovelace"
    names = ["NewSession", *(f"{name}?sessionId={session_id}" for name in ("GetSession", "EndSession", "GetSession"))]
    assert urls == [f"{stack.base_url}{path}/{name}" for name in names]


def test_the_python_client_shows_that_a_single_call_cannot_be_ended(connect: Connect) -> None:
    session_id = connect().post(NewSession()).id
    with pytest.raises(WebServiceException) as raised:
        connect().delete(EndSession(session_id, call_sid="CA1"))
    [error] = raised.value.response_status.errors
    assert (raised.value.status_code, error.field_name, error.error_code) == (400, "callSid", "NotAllowed")


def test_the_python_client_sends_every_field(stack: Stack, token: str, connect: Connect) -> None:
    request = make_full_request(stack, token, "Zoë ☎ from Python")
    session = connect().post(NewSession.from_dict(request))
    assert session.dial_state is SessionDialState.ACTIVE
    assert session.direction is SessionDirections.INCOMING
    assert (session.display_name, session.from_name) == (request["displayName"], request["fromName"])
    assert (session.destination, session.customer_id) == (request["destination"], request["customerId"])
    [item] = find_items(stack, request["displayName"])
    assert item | request == item


@pytest.mark.parametrize("members", [None, []])
def test_null_and_an_empty_list_of_the_python_client_mean_absent(connect: Connect, members: list[str] | None) -> None:
    session = connect().post(NewSession(display_name=None, member_email_addresses=members, start_session=False))
    assert session.display_name is None
    assert session.dial_state is SessionDialState.NONE


def test_the_python_client_shows_the_errors_of_all_fields(connect: Connect) -> None:
    with pytest.raises(WebServiceException) as raised:
        connect().post(NewSession(channel="Telex", from_name="n" * 257))  # type: ignore[arg-type]
    status = raised.value.response_status
    assert (raised.value.status_code, status.error_code) == (400, "ValidationException")
    assert {(error.field_name, error.error_code) for error in status.errors} == {
        ("channel", "InvalidEnum"),
        ("fromName", "TooLong"),
    }
    assert all(error.message for error in status.errors)


def test_the_python_client_shows_a_wrong_token_as_401(connect: Connect) -> None:
    with pytest.raises(WebServiceException) as raised:
        connect("wrong").post(NewSession())
    assert raised.value.status_code == 401


@pytest.mark.skipif(not (shutil.which("node") and shutil.which("npm")), reason="Node.js is not installed")
def test_the_typescript_client_passes_its_own_tests(stack: Stack, token: str) -> None:
    request = make_full_request(stack, token, "Zoë ☎ from TypeScript")
    done = subprocess.run(
        ["node", "--test-reporter=tap", ROOT / "tests/clients/typescript.mjs"],  # noqa: S607
        env={
            "PATH": os.environ["PATH"],
            "BASE_URL": stack.base_url,
            "TOKEN": token,
            "EVERY_FIELD": json.dumps(request),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    [item] = find_items(stack, request["displayName"])
    assert item | request == item
