"""Creates over a network that fails at random: never twice, never lost, and never a reply that is not true.

    handlers, in threads ── botocore ── TCP ──> Connection, which injects the faults ──> DynamoDB, a dictionary

moto is no use here: it takes 10 ms of CPU for a call, and its check of a condition and its write are not one step.
"""

import json
import logging
import random
import socket
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any, cast

import pytest
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config
from conftest import Context, make_event

from sessions import client, store, wire
from aws.client import make_client
from sessions.handler import handler

CREATES = 2_000
THREADS = 8
FAULT_RATE = 0.3
FAULTS = [
    "reset",
    "throttled",
    "failed",
    "stalled",
    "late",  # as stalled, but DynamoDB gets the request when the client has given up
    "applied, then reset",
    "applied, then failed",
    "applied, then stalled",
    "applied, then cut by a reset",
    "applied, then cut by an end",
]
UNREAD, UNREAD_RATE = "reset before the request was read", 0.02
BODIES: list[dict[str, Any]] = [
    {},
    {"displayName": "Zoë"},
    {"customerId": "northwind"},
]

type Response = dict[str, Any]


class Connection(BaseHTTPRequestHandler):
    """A connection of the handlers' client. Whoever hangs up ends it."""

    protocol_version = "HTTP/1.1"
    timeout = 1  # seconds, then an idle one is closed: botocore leaves that to the garbage collector
    server: "DynamoDB"

    def handle_one_request(self) -> None:
        """Now and then the connection is reset before anything of the request is read."""
        if self.server.random.random() < UNREAD_RATE:
            self.server.seen[UNREAD] += 1
            self.close_connection = True
            self.reset()
        else:
            super().handle_one_request()

    def do_POST(self) -> None:
        operation = self.headers["X-Amz-Target"].partition(".")[2]
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        fault = self.server.next_fault()
        self.close_connection = fault is not None
        if fault == "throttled":
            self.reply(400, b'{"__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException"}')
        elif fault == "failed":
            self.reply(500, b"{}")
        elif fault == "reset":
            self.reset()
        elif fault == "stalled":
            self.await_the_end()
        elif fault == "late":
            self.await_the_end()
            self.server.apply(operation, request)
        else:
            status, answer = self.server.apply(operation, request)
            if fault == "applied, then reset":
                self.reset()
            elif fault == "applied, then failed":
                self.reply(500, b"{}")
            elif fault == "applied, then stalled":
                self.await_the_end()
            else:
                self.reply(status, answer, fault)

    def reply(self, status: int, body: bytes, fault: str | None = None) -> None:
        content = f"HTTP/1.1 {status} -\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
        self.wfile.write(content[: self.server.random.randrange(len(content))] if fault else content)
        if fault == "applied, then cut by a reset":
            self.reset()

    def reset(self) -> None:
        """Let the close of the connection be a reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def await_the_end(self) -> None:
        self.rfile.read(1)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class DynamoDB(ThreadingHTTPServer):
    """A table of sessions and one customer, behind connections that fail."""

    daemon_threads = False  # so that its close waits for what is under way

    def __init__(self, seed: int) -> None:
        super().__init__(("127.0.0.1", 0), Connection)
        self.random = random.Random(seed)  # noqa: S311
        self.seen: Counter[str | None] = Counter()
        self.turn = Lock()
        northwind = {"sk": "CUSTOMER#northwind", "breadcrumb": [{"id": "northwind", "name": "Northwind"}]}
        self.directory = {"CUSTOMER#northwind": wire.to_wire(northwind)}
        self.sessions: dict[str, Any] = {}

    def next_fault(self) -> str | None:
        fault = self.random.choice(FAULTS) if self.random.random() < FAULT_RATE else None
        self.seen[fault] += 1
        return fault

    def apply(self, operation: str, request: Any) -> tuple[int, bytes]:  # noqa: ANN401
        """The two operations of a create, one at a time as DynamoDB does them to an item: status and answer."""
        with self.turn:
            answer = self.put_item(**request) if operation == "PutItem" else self.batch_get_item(**request)
        return (400 if "__type" in answer else 200), json.dumps(answer).encode()

    def put_item(self, Item: Any, ConditionExpression: str = "", **_: object) -> dict[str, Any]:  # noqa: ANN401, N803
        existing = self.sessions.get(Item["pk"]["S"])
        if existing and ConditionExpression == "attribute_not_exists(pk)":
            return {"__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException", "Item": existing}
        self.sessions[Item["pk"]["S"]] = Item
        return {}

    def batch_get_item(self, RequestItems: Any) -> dict[str, Any]:  # noqa: ANN401, N803
        found: dict[str, list[Any]] = {"directory": [], "sessions": []}
        for table, wanted in RequestItems.items():
            items, name = (self.sessions, "pk") if table == "sessions" else (self.directory, "sk")
            found[table] = [items[key[name]["S"]] for key in wanted["Keys"] if key[name]["S"] in items]
        return {"Responses": found, "UnprocessedKeys": {}}

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401
        request.close()  # without the orderly end that would come before a reset


@contextmanager
def serve(server: ThreadingHTTPServer) -> Iterator[str]:
    """The URL of a server that runs in a thread until the end."""
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def silent() -> Iterator[None]:
    """Writing the traces of all that fails would take most of the time."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


class Countdown(Context):
    """The context of an invocation that has the time to repeat each of its calls once."""

    def __init__(self) -> None:
        self.asked = 0

    def get_remaining_time_in_millis(self) -> int:
        self.asked += 1
        return 28_000 if self.asked == 1 else 13_000


def create(number: int, key: str | None) -> Response:
    return handler(make_event(BODIES[number % len(BODIES)], key), cast("LambdaContext", Countdown()))


def run_creates(make: Callable[[int], list[Response]]) -> tuple[list[list[Response]], dict[str, Any]]:
    """What `make` replies to 0, 1, 2, …, called by many threads while connections fail; and then the table, by id."""
    seed = random.randrange(2**32)  # noqa: S311
    print(f"seed {seed}")  # noqa: T201
    with pytest.MonkeyPatch.context() as patch, serve(dynamodb := DynamoDB(seed)) as url:
        patch.setenv("AWS_ENDPOINT_URL", url)
        patch.setattr(client, "Config", lambda **settings: Config(**settings | {"read_timeout": 0.2}))
        patch.setattr("time.sleep", lambda _: None)  # botocore's pauses and ours
        patch.setattr(store, "client", make_client("dynamodb"))
        with closing(store.client), ThreadPoolExecutor(THREADS) as threads:
            replies = list(threads.map(make, range(CREATES)))
    print(dict(dynamodb.seen), Counter(each["statusCode"] for several in replies for each in several))  # noqa: T201
    assert set(dynamodb.seen) == {None, UNREAD, *FAULTS}
    items = [wire.from_wire(item) for item in dynamodb.sessions.values()]
    return replies, {item["id"]: item for item in items}


def assert_true(response: Response, stored: dict[str, Any]) -> str:
    """The id of the session that a success replies, which is stored and equals it."""
    session = json.loads(response["body"])
    item = stored[session["id"]]
    assert item | session == item
    return str(session["id"])


def test_with_keys_and_retries_each_key_creates_exactly_one_session() -> None:
    def send_until_it_succeeds(number: int) -> list[Response]:
        number -= number % 10 == 9  # which repeats the request before it, at the same time
        responses = [create(number, f"key-{number}")]
        while responses[-1]["statusCode"] == 503 and len(responses) < 50:
            responses.append(create(number, f"key-{number}"))
        return responses

    replies, stored = run_creates(send_until_it_succeeds)
    assert {each["statusCode"] for several in replies for each in several} <= {200, 503}
    assert {assert_true(several[-1], stored) for several in replies} == set(stored)
    assert len(stored) == CREATES - CREATES // 10


def test_without_keys_every_reply_is_true() -> None:
    replies, stored = run_creates(lambda number: [create(number, None)])
    by_status: dict[int, list[Response]] = {200: [], 503: [], 504: []}
    for (response,) in replies:
        by_status[response["statusCode"]].append(response)
    created = {assert_true(response, stored) for response in by_status[200]}
    unknown = {json.loads(each["body"])["responseStatus"]["message"].split()[1] for each in by_status[504]}
    assert len(created) == len(by_status[200])
    assert set(stored) - unknown == created  # so nothing is stored of those that were answered 503
