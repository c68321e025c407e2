"""The guard of the local stack: a web page of another origin cannot use the emulator."""

import asyncio
from typing import Any

import pytest

from emulator.guard import guard, is_allowed

LOCAL = {"host": "127.0.0.1:4566"}
HOST, BRIDGE = ("127.0.0.1", 4566), ("172.17.0.1", 4566)
KEY = (
    b"Authorization",
    b"AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20261125/us-east-1/dynamodb/aws4_request, Signature=1",
)


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),
        ({"host": "localhost:4566"}, True),
        ({"host": "bucket.s3.localhost:4566"}, True),
        ({"host": "abc.execute-api.localhost:4566", "origin": "https://app.example.com"}, True),
        ({"origin": "http://127.0.0.1:4566", "sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"host": "evil.example:4566"}, False),
        ({"host": "evil.example:4566", "origin": "http://evil.example:4566"}, False),
        ({"host": "127.0.0.1.evil.example:4566"}, False),
        ({"host": ""}, False),
        ({"host": "localhost"}, True),
        ({"host": "127.0.0.1", "origin": "http://127.0.0.1"}, True),
        ({"origin": "https://evil.example"}, False),
        ({"origin": "null"}, False),
        ({"origin": "http://127.0.0.1:8000"}, False),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "same-site"}, False),
    ],
)
def test_only_programs_and_pages_of_the_stack_may_use_the_emulator(headers: dict[str, str], allowed: bool) -> None:  # noqa: FBT001
    assert is_allowed("/2015-03-31/functions", LOCAL | headers) is allowed
    assert is_allowed("/_aws/execute-api/abc/$default/sessions", LOCAL | headers)


@pytest.mark.parametrize(
    ("scope", "answer"),
    [
        ({"type": "lifespan"}, "app"),
        ({"type": "http", "path": "/", "server": HOST, "headers": [(b"Host", b"127.0.0.1:1")]}, "app"),
        ({"type": "http", "path": "/", "server": HOST, "headers": [(b"Host", b"evil.example")]}, 403),
        ({"type": "http", "path": "/", "server": BRIDGE, "headers": [(b"Host", b"127.0.0.1:1")]}, 403),
        ({"type": "http", "path": "/_aws/execute-api/abc", "server": BRIDGE, "headers": []}, 403),
        ({"type": "websocket", "path": "/", "server": HOST, "headers": [(b"host", b"evil.example")]}, 1008),
    ],
)
def test_a_refused_request_does_not_reach_the_emulator(scope: dict[str, Any], answer: object) -> None:
    sent = call(scope)
    assert (sent.get("status") or sent.get("code")) == answer


@pytest.mark.parametrize("server", [HOST, BRIDGE])
def test_a_container_that_knows_the_secret_uses_the_emulator_as_its_root(server: tuple[str, int]) -> None:
    headers = [(b"Host", b"host.docker.internal:4566"), KEY, (b"X-Amz-Security-Token", b"token"), (b"Accept", b"*/*")]
    scope = {"type": "http", "path": "/secret/a b", "raw_path": b"/secret/a%20b", "server": server, "headers": headers}
    inner = call(scope)["scope"]
    assert (inner["path"], inner["raw_path"]) == ("/a b", b"/a%20b")
    key = (KEY[0], KEY[1].replace(b"AKIAEXAMPLE", b"test"))
    assert inner["headers"] == [(b"host", b"127.0.0.1"), key, (b"Accept", b"*/*")]


def call(scope: dict[str, Any]) -> dict[str, Any]:
    """Send a request to the guard with the secret `secret`; return the first answer."""
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def app(scope: dict[str, Any], _receive: object, send: Any) -> None:  # noqa: ANN401
        await send({"status": "app", "scope": scope})

    async def receive() -> dict[str, Any]:
        return {}

    async def run() -> None:
        await guard(app, "secret")(scope, receive, send)

    asyncio.run(run())
    return sent[0]
