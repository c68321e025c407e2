"""The ServiceStack clients of npm and PyPI, unmodified: they are given a base URL and a token, and nothing else."""

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
    FlowChannels,
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


def make_request(stack: Stack, token: str, display_name: str) -> dict[str, Any]:
    """Return a request with every field of the contract. Its references exist."""
    parent = stack.post({}, token).json()
    return EVERY_FIELD | {"displayName": display_name, "parentSessionId": parent["id"]}


def find_stored(stack: Stack, display_name: str) -> list[dict[str, Any]]:
    """The stored sessions of this name."""
    named = Attr("displayName").eq(display_name)
    return stack.table("SessionsTableName").scan(FilterExpression=named, ConsistentRead=True)["Items"]


@pytest.fixture
def connect(stack: Stack, token: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connect]:
    """Makes clients for Python."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    made = []

    def connect(token: str = token) -> JsonServiceClient:
        made.append(JsonServiceClient(stack.base_url).set_bearer_token(token))
        return made[-1]

    yield connect
    for client in made:
        client._session.close()  # noqa: SLF001 (it has no public close)


@pytest.mark.parametrize(("base_path", "path"), [("api", "/api/NewSession"), ("", "/json/reply/NewSession")])
def test_the_python_client_creates_a_session_on_its_default_paths(
    stack: Stack, connect: Connect, base_path: str, path: str
) -> None:
    asked = []
    client = connect().set_base_path(base_path)
    client.response_filter = lambda response: asked.append(response.url)
    session = client.post(NewSession(channel=FlowChannels.VOICE))
    assert asked == [stack.base_url + path]
    assert isinstance(session, SessionInfo)
    assert (session.channel, session.call_state) == (FlowChannels.VOICE, SessionCallState.CONNECTED)
    assert session.members[0].display_name == "Ada Lovelace"


def test_the_python_client_creates_a_session_at_sessions(stack: Stack, connect: Connect) -> None:
    asked = []
    client = connect()
    client.response_filter = lambda response: asked.append(response.url)
    session = client.post_url("/sessions", NewSession(channel=FlowChannels.FAX))
    assert asked == [stack.url]
    assert session.channel is FlowChannels.FAX


def test_every_field_of_the_python_client_arrives(stack: Stack, token: str, connect: Connect) -> None:
    request = make_request(stack, token, "Zoë ☎ from Python")
    session = connect().post(NewSession.from_dict(request))
    assert session.dial_state is SessionDialState.ACTIVE
    assert session.direction is SessionDirections.INCOMING
    assert (session.display_name, session.from_name) == (request["displayName"], request["fromName"])
    assert (session.destination, session.customer_id) == (request["destination"], request["customerId"])
    [item] = find_stored(stack, request["displayName"])
    assert item | request == item


@pytest.mark.parametrize("members", [None, []])
def test_null_and_empty_lists_of_the_python_client_are_absent(connect: Connect, members: list[str] | None) -> None:
    session = connect().post(NewSession(display_name=None, member_email_addresses=members, start_session=False))
    assert session.display_name is None
    assert session.dial_state is SessionDialState.NONE


def test_the_python_client_shows_an_invalid_value_as_the_error_of_its_field(connect: Connect) -> None:
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


@pytest.mark.skipif(not (shutil.which("node") and shutil.which("npm")), reason="Node.js is not on this machine")
def test_the_typescript_client_works_unmodified(stack: Stack, token: str) -> None:
    request = make_request(stack, token, "Zoë ☎ from TypeScript")
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
    [item] = find_stored(stack, request["displayName"])
    assert item | request == item
