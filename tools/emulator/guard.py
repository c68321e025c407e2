"""Refuse requests of foreign web pages and of other containers to the emulator.

The emulator answers every origin and accepts any signature. Without the guard, any page that a developer opens could
create a function in it and run code on the machine. DNS rebinding would do the same under the page's own host name.

A container reaches this machine under another host name, and on Linux at the address of Docker's bridge. There the path
of each request must begin with a secret.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

type Message = dict[str, Any]
type Headers = list[tuple[bytes, bytes]]
type Send = Callable[[Message], Awaitable[None]]
type App = Callable[[Message, Callable[[], Awaitable[Message]], Send], Awaitable[None]]

API_PATH = "/_aws/execute-api/"  # the template's CORS configuration decides there
LOOPBACK = "127.0.0.1"
HOSTS = {LOOPBACK, "localhost"}


def is_allowed(path: str, headers: Mapping[str, str]) -> bool:
    """Return whether a request comes from a program on this machine, or from a page of the emulator itself.

    Programs send no Origin and no Sec-Fetch-Site. A browser sends Sec-Fetch-Site with each request, and Origin at least
    with each request that changes something (https://fetch.spec.whatwg.org/#origin-header).
    """
    host = headers.get("host", "")
    name = host.partition(":")[0]  # clients omit port 80
    if path.startswith(API_PATH) or name.endswith(".execute-api.localhost"):
        return True
    return (
        (name in HOSTS or name.endswith(".localhost"))  # no other machine has a name below localhost (RFC 6761)
        and headers.get("origin", f"http://{host}") == f"http://{host}"
        and headers.get("sec-fetch-site", "none") in {"none", "same-origin"}
    )


def localize(headers: Headers) -> Headers:
    """Return the headers of a program on this machine, with the key of the emulator's root.

    `sam local` gives its container the developer's own AWS key or a dummy. The emulator knows neither.
    """
    kept = [each for each in headers if each[0].lower() not in {b"host", b"x-amz-security-token"}]
    return [
        (b"host", LOOPBACK.encode()),
        *((name, re.sub(rb"\bCredential=[^/]+", b"Credential=test", value)) for name, value in kept),
    ]


def guard(app: App, secret: str) -> App:
    """Return the ASGI application with a guard before it."""
    prefix = f"/{secret}"

    async def guarded(scope: Message, receive: Callable[[], Awaitable[Message]], send: Send) -> None:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope.get("headers", [])}
        if scope["type"] == "lifespan" or (scope["server"][0] == LOOPBACK and is_allowed(scope["path"], headers)):
            await app(scope, receive, send)
        elif scope["type"] == "http" and scope["path"].startswith(f"{prefix}/"):
            inner = {
                "path": scope["path"].removeprefix(prefix),
                "raw_path": scope["raw_path"].removeprefix(prefix.encode()),
                "headers": localize(scope["headers"]),
            }
            await app(scope | inner, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await send({"type": "http.response.start", "status": 403, "headers": [(b"content-type", b"text/plain")]})
            await send(
                {"type": "http.response.body", "body": b"The local stack refuses other web pages and containers.\n"}
            )

    return guarded
