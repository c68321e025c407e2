"""The API as its clients see it, and the sessions that it stored."""

import json
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
