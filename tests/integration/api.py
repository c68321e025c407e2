"""The API as its clients see it, the sessions that it stored, and their size."""

import json
from collections.abc import Mapping
from typing import Any

from conftest import CONTEXT
from mypy_boto3_dynamodb import DynamoDBClient

from aws.wire import from_wire
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
        case {"BOOL": _}:
            return 1
    raise ValueError(value)  # our items have no other type
