"""The guard of the local stack: a web page of another origin cannot use the emulator."""

import asyncio
from typing import Any

import pytest

from emulator.guard import guard, is_allowed

LOCAL = {"host": "127.0.0.1:4566"}


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
        ({"type": "http", "path": "/", "headers": [(b"Host", b"127.0.0.1:1")]}, "app"),
        ({"type": "http", "path": "/", "headers": [(b"Host", b"evil.example")]}, 403),
        ({"type": "websocket", "path": "/", "headers": [(b"host", b"evil.example")]}, 1008),
    ],
)
def test_a_refused_request_does_not_reach_the_emulator(scope: dict[str, Any], answer: object) -> None:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def app(_scope: object, _receive: object, send: Any) -> None:  # noqa: ANN401
        await send({"status": "app"})

    async def receive() -> dict[str, Any]:
        return {}

    async def run() -> None:
        await guard(app)(scope, receive, send)

    asyncio.run(run())
    assert (sent[0].get("status") or sent[0].get("code")) == answer
