"""Creates and ends over a network that fails at random: each happens once, and every reply is true.

    handlers, in threads ── botocore ── TCP ──> Connection, which injects the faults ──> DynamoDB, a dictionary

moto is too slow here, with 10 ms of CPU for each call. Its check of a condition and its write are two steps.
"""

import json
import logging
import random
import socket
import struct
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from zlib import crc32

import pytest
from conftest import CONTEXT, make_end, make_event

from aws import wire
from aws.client import make_client
from sessions import store
from sessions.handler import handler

pytestmark = pytest.mark.no_cover  # coverage doubles the time of these tests

CREATES = 2_000
THREADS = 8
FAULTS = [
    "reset",
    "throttled",
    "failed",
    "stalled",
    "late",  # as stalled, but DynamoDB gets the request when the client has given up
    "answered by something else",
    "applied twice",
    "applied, then reset",
    "applied, then failed",
    "applied, then stalled",
    "applied, then corrupt",
    "applied, then answered by something else",
    "applied, then cut by a reset",
    "applied, then cut by an end",
]
UNREAD, UNREAD_RATE = "reset before the request was read", 0.02
THROTTLED = b'{"__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException"}'
CONDITION_FAILED: dict[str, Any] = {"__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException"}
FOREIGN = [b"{}", b"<html>Sign in to the network</html>"]
BODIES: list[dict[str, Any]] = [{}, {"displayName": "Zoë"}, {"customerId": "northwind"}]

type Response = dict[str, Any]


class Connection(BaseHTTPRequestHandler):
    """A connection of the handlers' client. A peer that hangs up ends it."""

    protocol_version = "HTTP/1.1"
    timeout = 1  # seconds: closes idle connections, which botocore leaves to the garbage collector
    server: "DynamoDB"

    def handle_one_request(self) -> None:
        """Now and then, reset the connection before anything of the request is read."""
        if self.server.random.random() < UNREAD_RATE:
            self.server.injected[UNREAD] += 1
            self.close_connection = True
            self.reset()
        else:
            super().handle_one_request()

    def do_POST(self) -> None:
        operation = self.headers["X-Amz-Target"].partition(".")[2]
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        fault = self.server.next_fault()
        self.close_connection = fault is not None
        status, answer = 200, b""
        if fault is None or fault.startswith("applied"):
            status, answer = self.server.apply(operation, request)
        if fault == "applied twice":
            status, answer = self.server.apply(operation, request)
        self.answer(fault, status, answer)
        if fault == "late":
            self.server.apply(operation, request)

    def answer(self, fault: str | None, status: int, answer: bytes) -> None:
        """Send DynamoDB's answer, or let the fault replace it."""
        match (fault or "").removeprefix("applied, then "):
            case "" | "applied twice":
                self.reply(status, answer)
            case "throttled":
                self.reply(400, THROTTLED)
            case "failed":
                self.reply(500, b"{}")
            case "answered by something else":
                self.reply(200, self.server.random.choice(FOREIGN))
            case "corrupt":
                self.reply(status, answer.replace(b"Northwind", b"Southwind"), checksum=crc32(answer) ^ 1)
            case "reset":
                self.reset()
            case "cut by a reset":
                self.reply(status, answer, cut=True)
                self.reset()
            case "cut by an end":
                self.reply(status, answer, cut=True)
            case _:
                self.await_the_end()

    def reply(self, status: int, body: bytes, checksum: int | None = None, *, cut: bool = False) -> None:
        """Send an answer with its checksum or a wrong one, or only a part of the answer."""
        checksum = crc32(body) if checksum is None else checksum
        head = f"HTTP/1.1 {status} -\r\nx-amz-crc32: {checksum}\r\nContent-Length: {len(body)}\r\n\r\n"
        content = head.encode() + body
        self.wfile.write(content[: self.server.random.randrange(len(content))] if cut else content)

    def reset(self) -> None:
        """Make the close of the connection a reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def await_the_end(self) -> None:
        self.rfile.read(1)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


class DynamoDB(ThreadingHTTPServer):
    """A table of sessions and one customer, behind connections that fail."""

    daemon_threads = False  # server_close waits for the requests in flight

    def __init__(self, fault_rate: float, seed: int) -> None:
        super().__init__(("127.0.0.1", 0), Connection)
        self.fault_rate = fault_rate
        self.random = random.Random(seed)  # noqa: S311
        self.injected: Counter[str | None] = Counter()
        self.turn = Lock()
        northwind = {"sk": "CUSTOMER#northwind", "breadcrumb": [{"id": "northwind", "name": "Northwind"}]}
        self.directory = {"CUSTOMER#northwind": wire.to_wire(northwind)}
        self.sessions: dict[str, Any] = {}

    def next_fault(self) -> str | None:
        fault = self.random.choice(FAULTS) if self.random.random() < self.fault_rate else None
        self.injected[fault] += 1
        return fault

    def apply(self, operation: str, request: dict[str, Any]) -> tuple[int, bytes]:
        """Apply an operation, one at a time as DynamoDB does for an item. Return the status and the answer."""
        operations: dict[str, Callable[..., dict[str, Any]]] = {
            "BatchGetItem": self.batch_get_item,
            "GetItem": self.get_item,
            "PutItem": self.put_item,
            "UpdateItem": self.update_item,
        }
        with self.turn:
            answer = operations[operation](**request)
        if request.get("ReturnConsumedCapacity") == "TOTAL" and "__type" not in answer:
            answer["ConsumedCapacity"] = [] if operation == "BatchGetItem" else {}
        return (400 if "__type" in answer else 200), json.dumps(answer).encode()

    def put_item(self, Item: Any, ConditionExpression: str = "", **_: object) -> dict[str, Any]:  # noqa: ANN401, N803
        existing = self.sessions.get(Item["pk"]["S"])
        if existing and "attribute_not_exists(pk)" in ConditionExpression:
            return CONDITION_FAILED | {"Item": existing}
        self.sessions[Item["pk"]["S"]] = Item
        return {}

    def get_item(self, Key: Any, **_: object) -> dict[str, Any]:  # noqa: ANN401, N803
        return {"Item": self.sessions[Key["pk"]["S"]]}

    def update_item(
        self,
        Key: Any,  # noqa: ANN401, N803
        UpdateExpression: str,  # noqa: N803
        ConditionExpression: str,  # noqa: N803
        ExpressionAttributeValues: dict[str, Any],  # noqa: N803
        **_others: object,
    ) -> dict[str, Any]:
        """Apply an update of `store.update_session`. A name in its expressions is # and the name of the attribute.

        `changeIds` has the changeId of each update.
        """
        item, values = self.sessions[Key["pk"]["S"]], ExpressionAttributeValues
        for condition in ConditionExpression.split(" AND "):
            name, _, value = condition.removeprefix("attribute_not_exists(").rstrip(")").partition(" = ")
            if item.get(name[1:]) != values.get(value):
                return CONDITION_FAILED | {"Item": item}
        assignments = [each.partition(" = ") for each in UpdateExpression.removeprefix("SET ").split(", ")]
        item = item | {name[1:]: values[value] for name, _, value in assignments}
        item["changeIds"] = {"L": [*item.get("changeIds", {"L": []})["L"], item["changeId"]]}
        self.sessions[Key["pk"]["S"]] = item
        return {}

    def batch_get_item(self, RequestItems: Any, **_: object) -> dict[str, Any]:  # noqa: ANN401, N803
        found: dict[str, list[Any]] = {"directory": [], "sessions": []}
        for table, wanted in RequestItems.items():
            items, name = (self.sessions, "pk") if table == "sessions" else (self.directory, "sk")
            found[table] = [items[key[name]["S"]] for key in wanted["Keys"] if key[name]["S"] in items]
        return {"Responses": found, "UnprocessedKeys": {}}

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401
        request.close()  # without a shutdown, which would end the connection before its reset


@contextmanager
def serve(server: ThreadingHTTPServer) -> Iterator[str]:
    """Run a server in a thread, and yield its URL."""
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
    """Log nothing: tracebacks would take most of the time."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


def create(number: int, key: str | None) -> Response:
    return handler(make_event(BODIES[number % len(BODIES)], key), CONTEXT)


def repeat(send: Callable[[], Response]) -> list[Response]:
    """Send a request until its response is not a 503. Return all responses."""
    responses = [send()]
    while responses[-1]["statusCode"] == 503 and len(responses) < 50:
        responses.append(send())
    return responses


def run(
    fault_rate: float, make: Callable[[int], list[Response]], count: int = CREATES
) -> tuple[list[list[Response]], dict[str, dict[str, Any]]]:
    """Call `make` with 0, 1, 2, … in many threads while connections fail. Return its responses, and the items by id."""
    seed = random.randrange(2**32)  # noqa: S311
    print(f"seed {seed}")  # noqa: T201
    with pytest.MonkeyPatch.context() as patch, serve(dynamodb := DynamoDB(fault_rate, seed)) as url:
        patch.setenv("AWS_ENDPOINT_URL", url)
        patch.setattr("time.sleep", lambda _: None)
        patch.setattr(store, "client", make_client("dynamodb", read_seconds=0.1))
        with closing(store.client), ThreadPoolExecutor(THREADS) as threads:
            replies = list(threads.map(make, range(count)))
    print(dict(dynamodb.injected), Counter(each["statusCode"] for several in replies for each in several))  # noqa: T201
    assert set(dynamodb.injected) == {None, UNREAD, *FAULTS}
    items = [wire.from_wire(item) for item in dynamodb.sessions.values()]
    assert all(item["customerName"] == "Northwind" for item in items if "customerId" in item)
    return replies, {item["id"]: item for item in items}


def read_stored_id(response: Response, stored: dict[str, dict[str, Any]]) -> str:
    """Return the id of the session in a success. The session is stored, and equals the stored one."""
    session = json.loads(response["body"])
    item = stored[session["id"]]
    assert item | session == item
    return str(session["id"])


@pytest.mark.parametrize("fault_rate", [0.3, 0.45])
def test_with_keys_and_retries_each_key_creates_exactly_one_session(fault_rate: float) -> None:
    def send_until_it_succeeds(number: int) -> list[Response]:
        number -= number % 10 == 9  # one request in ten is sent twice, at the same time
        return repeat(lambda: create(number, f"key-{number}"))

    replies, stored = run(fault_rate, send_until_it_succeeds)
    assert {each["statusCode"] for several in replies for each in several} <= {200, 503}
    assert {read_stored_id(several[-1], stored) for several in replies} == set(stored)
    assert len(stored) == CREATES - CREATES // 10
    by_session: defaultdict[str, list[list[Response]]] = defaultdict(list)
    for several in replies:
        by_session[read_stored_id(several[-1], stored)].append(several)
    for requests in by_session.values():  # a request that created its session is not marked as replayed
        created = ["Idempotent-Replayed" not in several[-1]["headers"] for several in requests]
        assert sum(created) <= 1
        assert sum(created) == 1 or any(len(several) > 1 for several in requests)


@pytest.mark.parametrize("fault_rate", [0.3, 0.45])
def test_without_keys_every_reply_is_true(fault_rate: float) -> None:
    replies, stored = run(fault_rate, lambda number: [create(number, None)])
    by_status: dict[int, list[Response]] = {200: [], 503: [], 504: []}
    for (response,) in replies:
        by_status[response["statusCode"]].append(response)
    created = {read_stored_id(response, stored) for response in by_status[200]}
    unknown = {json.loads(each["body"])["responseStatus"]["message"].split()[1] for each in by_status[504]}
    assert len(created) == len(by_status[200])
    assert set(stored) - unknown == created  # nothing is stored of the creates that were answered 503


def test_with_retries_each_session_ends_exactly_once() -> None:
    def create_and_end(number: int) -> list[Response]:
        number -= number % 4 == 3  # two requests end the same session at the same time
        created = repeat(lambda: create(number, f"key-{number}"))[-1]
        return repeat(lambda: handler(make_end(json.loads(created["body"])["id"]), CONTEXT))

    replies, stored = run(0.3, create_and_end, CREATES // 2)
    assert {each["statusCode"] for several in replies for each in several} == {204, 503}
    assert [several[-1]["statusCode"] for several in replies] == [204] * len(replies)
    assert len(stored) == len(replies) * 3 / 4
    for item in stored.values():
        assert (item["ended"], len(item["changeIds"])) == (True, 1)
        assert [entry["message"] for entry in item["log"]].count("Session ended by Ada Lovelace") == 1
