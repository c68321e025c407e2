"""The API as its clients see it, the sessions that it stored, and their size."""

import json
import math
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from conftest import CONTEXT
from mypy_boto3_dynamodb import DynamoDBClient

from aws.wire import from_wire
from sessions import store
from sessions.handler import handler


def send(event: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Return the status and the decoded body of the response to an event."""
    response = handler(event, CONTEXT)
    return response["statusCode"], json.loads(response["body"])


def read_error(event: dict[str, Any]) -> tuple[int, str]:
    """Return the status and the error code of the response to an event."""
    status, body = send(event)
    return status, body["responseStatus"]["errorCode"]


def scan(dynamodb: DynamoDBClient) -> list[dict[str, Any]]:
    """Return all items of the sessions table."""
    return [from_wire(item) for item in dynamodb.scan(TableName="sessions")["Items"]]


def race(requests: list[dict[str, Any]], operation: str, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Return the responses to requests that reach their put or update at the same time.

    moto checks a condition and writes in two steps, so a lock makes them one step, as in DynamoDB.
    """
    barrier, turn = threading.Barrier(len(requests)), threading.Lock()
    write: Callable[..., Any] = getattr(store.client, operation)

    def write_together(**arguments: Any) -> Any:  # noqa: ANN401
        barrier.wait(timeout=60)
        with turn:
            return write(**arguments)

    monkeypatch.setattr(store.client, operation, write_together)
    with ThreadPoolExecutor(len(requests)) as threads:
        return list(threads.map(lambda event: handler(event, CONTEXT), requests))


def measure_item(item: Mapping[str, Mapping[str, Any]]) -> int:
    """Return the bytes that DynamoDB counts for an item in its wire format.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
    """
    return sum(len(name.encode()) + measure_value(value) for name, value in item.items())


def measure_value(value: Mapping[str, Any]) -> int:
    match value:
        case {"S": text}:
            return len(text.encode())
        case {"M": entries}:
            return 3 + len(entries) + measure_item(entries)
        case {"L": entries}:
            return 3 + len(entries) + sum(map(measure_value, entries))
        case {"N": digits}:
            return math.ceil(len(digits) / 2) + 1
        case {"BOOL": _}:
            return 1
    raise ValueError(value)  # our items have no other type
