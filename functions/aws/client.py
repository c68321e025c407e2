"""Clients of AWS: timeouts, attempts and back-off.

`call` calls DynamoDB, and retries by itself. So its botocore client must not retry: `attempts=1`. Then `call` sees the
result of each attempt: DynamoDB applied it, did not apply it, or may have applied it. The clients come from botocore,
because boto3 would add 50 ms to each cold start.
"""

import math
import os
import random
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from botocore import __version__ as SDK_VERSION  # noqa: N812 (a constant)
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ChecksumError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ProxyConnectionError,
    SSLError,
)
from botocore.parsers import ResponseParserError
from botocore.session import get_session

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

CONNECT_SECONDS = READ_SECONDS = 1.0
ATTEMPT_SECONDS = 2 * CONNECT_SECONDS + READ_SECONDS  # connect, negotiate TLS, read
CALL_SECONDS = 8.0  # the longest time of a call with its retries
# The longest time of repeated calls: a lookup with unprocessed keys, or an update with conflicts. The last call starts
# CALL_SECONDS - ATTEMPT_SECONDS after the first one at the latest, and takes CALL_SECONDS.
ROUNDS_SECONDS = 2 * CALL_SECONDS - ATTEMPT_SECONDS
ATTEMPTS_MAX = 4
NOT_APPLIED_ATTEMPTS_MAX = 3  # the limit if DynamoDB certainly applied no attempt

NEVER_SENT = (ConnectTimeoutError, EndpointConnectionError, ProxyConnectionError)
# botocore raises ValueError, AttributeError and TypeError for damaged answers: not UTF-8, or JSON of another shape.
CALL_ERRORS = (
    *(ClientError, HTTPClientError, SSLError, ChecksumError, *NEVER_SENT),
    *(ResponseParserError, ValueError, AttributeError, TypeError),
)
THROTTLED = {"ProvisionedThroughputExceededException", "RequestLimitExceeded", "ThrottlingException"}
# ConditionalCheckFailedException is a normal result. The other two errors mean that our request has a bug.
RAISED = {"ConditionalCheckFailedException", "SerializationException", "ValidationException"}


class CallFailedError(Exception):
    """No attempt of a call succeeded. `may_be_applied` is true if DynamoDB may have applied one of them."""

    def __init__(self, failure: str, *, may_be_applied: bool) -> None:
        super().__init__(f"last attempt: {failure}")
        self.may_be_applied = may_be_applied


def make_client(
    service: str, *, connect_seconds: float = CONNECT_SECONDS, read_seconds: float = READ_SECONDS, attempts: int = 1
) -> Any:  # noqa: ANN401 (the caller knows the type of its service's client)
    """Return a client of an AWS service.

    The retry mode is legacy: in the other modes, botocore does not compare the checksum of DynamoDB's answer. Parameter
    validation is off, which saves 14 % of a call. The user agent is fixed, which saves 8 %.
    """
    config = Config(
        connect_timeout=connect_seconds,
        read_timeout=read_seconds,
        retries={"mode": "legacy", "total_max_attempts": attempts},
        parameter_validation=False,
        user_agent=f"Botocore/{SDK_VERSION}",
    )
    return get_session().create_client(service, config=config)


def attempts(most: int, *, seconds: float = math.inf, longest_pause: float = 1.0) -> Iterator[int]:
    """Yield the numbers of attempts from 1 to `most`, with exponential back-off and full jitter in between.

    All attempts start within `seconds` of the first.
    """
    end = time.monotonic() + seconds
    for number in range(1, most + 1):
        if number > 1:
            time.sleep(random.uniform(0, min(longest_pause, 0.1 * 2 ** (number - 1))))  # noqa: S311 (jitter, no secret)
            if time.monotonic() > end:
                return
        yield number


def call[Answer](operation: Callable[..., Answer], proof: str = "ConsumedCapacity", **parameters: object) -> Answer:
    """Call an operation of DynamoDB, and retry it within CALL_SECONDS. Return its answer.

        attempt        for example                             then
        answered       with the field `proof`                  return the answer
        raised         condition failed, our bug               raise botocore's error
        refused        access denied, no such table            raise CallFailedError
        not applied    throttled, no connection                retry: 3 attempts
        unknown        timeout, reset, 5xx, damaged answer     retry: 4 attempts

    After one unknown attempt, a refused attempt is retried, too.

    `proof` names a field of every complete answer. An answer without this field is damaged: it was cut short, or it is
    not from DynamoDB. CallFailedError is raised after the last attempt. Its cause is the error of this attempt, if it
    had one.
    """
    may_be_applied, cause = False, None
    for number in attempts(ATTEMPTS_MAX, seconds=CALL_SECONDS - ATTEMPT_SECONDS):
        try:
            answer = operation(**parameters, ReturnConsumedCapacity="TOTAL")
        except CALL_ERRORS as error:
            failure, cause = classify(error), error
            if failure == "raised":
                raise
        else:
            if proof in answer:  # type: ignore[operator]
                return answer
            failure, cause = "unknown", None
        may_be_applied = may_be_applied or failure == "unknown"
        if not may_be_applied and (failure == "refused" or number == NOT_APPLIED_ATTEMPTS_MAX):
            break
    raise CallFailedError(failure, may_be_applied=may_be_applied) from cause


def classify(error: Exception) -> str:
    """Return the kind of a failed attempt: see the table of `call`."""
    if isinstance(error, NEVER_SENT):
        return "not applied"
    if isinstance(error, ClientError):
        code = error.response["Error"]["Code"]
        if code in RAISED:
            return "raised"
        if code in THROTTLED:
            return "not applied"
        if 400 <= error.response["ResponseMetadata"]["HTTPStatusCode"] < 500:
            return "refused"
    if any(frame.f_globals["__name__"] == "botocore.serialize" for frame, _ in traceback.walk_tb(error.__traceback__)):
        return "raised"  # our parameters are wrong, and no request was sent
    return "unknown"


def warm_up(client: "DynamoDBClient", table: str) -> None:
    """Open the connection to DynamoDB during a cold start, by reading a key that the table does not have.

    The TLS handshake takes 20 ms of CPU. During a cold start the function has a whole CPU. Later it has 0.29 CPU,
    because its memory is 512 MB. So connecting early saves about 50 ms. If the warm-up fails, the first request opens
    the connection.
    """
    if "AWS_LAMBDA_INITIALIZATION_TYPE" in os.environ and client.meta.endpoint_url.startswith("https:"):
        with suppress(BotoCoreError, *CALL_ERRORS):
            client.get_item(TableName=table, Key={"pk": {"S": "warm-up"}})
