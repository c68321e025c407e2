"""Faults between the functions and the DynamoDB of moto, on a clock that only the faults and the pauses move."""

import json
from contextlib import suppress
from typing import Any, NamedTuple, cast

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    ReadTimeoutError,
)
from mypy_boto3_dynamodb import DynamoDBClient

from aws.client import CONNECT_SECONDS, READ_SECONDS

URL = "https://dynamodb.test"
SECONDS = {ReadTimeoutError: READ_SECONDS, ConnectTimeoutError: CONNECT_SECONDS}  # other faults take no time
EVERY_CALL = 9  # more faults than a request makes calls


class Body:
    """The body of an HTTP response, as botocore reads it."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def stream(self) -> list[bytes]:
        return [self.content]


def make_answer(status: int, content: bytes | dict[str, Any], **headers: str) -> AWSResponse:
    content = json.dumps(content).encode() if isinstance(content, dict) else content
    return AWSResponse(URL, status, HTTPHeaders.from_dict(headers), Body(content))


def refuse(status: int, code: str) -> AWSResponse:
    """Return an error of DynamoDB. Its message is private: no client may see it."""
    return make_answer(status, {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "private"})


type Fault = AWSResponse | Exception


class Applied(NamedTuple):
    """DynamoDB applies the call, and a fault replaces its answer. Without a fault DynamoDB gets the call once more."""

    then: Fault | None = None


class Changed(NamedTuple):
    """Another request changes the item just before DynamoDB gets the call."""


THROTTLED = refuse(400, "ThrottlingException")
DENIED = refuse(400, "AccessDeniedException")
INVALID = refuse(400, "ValidationException")
FAILED = refuse(500, "InternalServerError")
HTML = make_answer(200, b"<html>Sign in to the network</html>")
CUT_SHORT = make_answer(200, b"")
# A complete answer whose checksum does not match.
CORRUPT = make_answer(200, {"ConsumedCapacity": {}, "Responses": {}, "UnprocessedKeys": {}}, **{"x-amz-crc32": "1"})
SLOW = ReadTimeoutError(endpoint_url=URL)
RESET = ConnectionClosedError(endpoint_url=URL)
UNREACHED = ConnectTimeoutError(endpoint_url=URL)


class Network:
    """The way from the functions to DynamoDB. It also stands for the module `time` in aws.client."""

    def __init__(self, dynamodb: DynamoDBClient) -> None:
        self.dynamodb = dynamodb
        self.faults: dict[str, list[Fault | Applied | Changed]] = {}
        self.calls: list[str] = []
        self.seconds = 0.0
        self.seconds_of_a_fault: float | None = None  # None: those of its timeout

    def inject(self, operation: str, *faults: Fault | Applied | Changed) -> None:
        """Let the next calls of an operation meet these faults, one each."""
        self.faults[operation] = list(faults)

    def send(self, request: AWSPreparedRequest, event_name: str, **_: object) -> Any:  # noqa: ANN401 (the stubs say None)
        """Handle botocore's event before-send: return an answer or raise an error; None lets moto answer."""
        operation = event_name.rpartition(".")[2]
        self.calls.append(operation)
        faults = self.faults.get(operation)
        if not faults:
            return None
        fault = faults.pop(0)
        if isinstance(fault, Applied):
            with suppress(ClientError):
                apply = self.dynamodb.update_item if operation == "UpdateItem" else self.dynamodb.put_item
                apply(**json.loads(cast("bytes", request.body)))
            fault = fault.then  # type: ignore[assignment]
        elif isinstance(fault, Changed):
            self.change_item(json.loads(cast("bytes", request.body))["Key"])
            fault = None  # type: ignore[assignment]
        if fault is None:
            return None
        request.url = URL  # moto gets the request, too, and must not apply it
        self.seconds += SECONDS.get(type(fault), 0) if self.seconds_of_a_fault is None else self.seconds_of_a_fault
        if isinstance(fault, Exception):
            raise fault
        return fault

    def change_item(self, key: Any) -> None:  # noqa: ANN401 (JSON)
        """Change an item of the sessions table, as an update of another request does."""
        self.dynamodb.update_item(
            TableName="sessions",
            Key=key,
            UpdateExpression="SET changeId = :id",
            ExpressionAttributeValues={":id": {"S": f"call {len(self.calls)}"}},
        )

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def monotonic(self) -> float:
        return self.seconds
