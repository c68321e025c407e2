"""The client of DynamoDB: how long a call takes at most, which of its attempts may have been applied, what it sends.

The only module of the API that imports botocore: without boto3, which adds nothing but the time of its import.
"""

import os
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, cast

from botocore import __version__ as SDK_VERSION  # noqa: N812 (a constant)
from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ProxyConnectionError,
)
from botocore.handlers import BUILTIN_HANDLERS
from botocore.session import Session
from pydantic_core import from_json, to_json

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# A call that gets no answer has failed after CALL_MILLISECONDS: three attempts of 3 s (connecting, TLS and waiting, 1 s
# each) and up to 1 s and 2 s of back-off in between (botocore's standard mode).
CALL_MILLISECONDS = 12_000
REPLY_MILLISECONDS = 2_000  # what else a request takes, a pause between calls included

# How many attempts of the current put may have been applied: an attempt counts from when it is made until DynamoDB has
# refused it, or it is certain that it was never sent. The last error alone says nothing of the attempts before.
unsettled: ContextVar[int] = ContextVar("unsettled", default=0)
NEVER_SENT = (ConnectTimeoutError, EndpointConnectionError, ProxyConnectionError)


def count_attempt(**_: object) -> None:
    """Count an attempt as one that may be applied."""
    unsettled.set(unsettled.get() + 1)


def settle_attempt(parsed_response: dict[str, Any] | None, exception: Exception | None, **_: object) -> None:
    """Count it no longer if it certainly was not."""
    refused = parsed_response is not None and 400 <= parsed_response["ResponseMetadata"]["HTTPStatusCode"] < 500
    if refused or isinstance(exception, NEVER_SENT):
        unsettled.set(unsettled.get() - 1)


def make_client() -> "DynamoDBClient":
    """A client whose calls end within CALL_MILLISECONDS, and whose puts are counted as above.

    What it sends is made here, from what the models have validated: to check it against the service's model too is a
    seventh of a call. A user agent that is given is not put together anew for each request, which is another thirteenth
    (both by profile). Of botocore's 127 built-in handlers it has the nine that are not for one other service: to
    register all takes 10 ms of the start.
    """
    config = Config(
        connect_timeout=1,
        read_timeout=1,
        retries={"mode": "standard", "total_max_attempts": 3},
        parameter_validation=False,
        user_agent=f"Botocore/{SDK_VERSION}",
    )
    sdk = Session(include_builtin_handlers=False)
    for event, handler, *_ in BUILTIN_HANDLERS:
        if "." not in event:
            sdk.register(event, handler)
    made = cast("DynamoDBClient", sdk.create_client("dynamodb", config=config))
    pass_json(made)
    made.meta.events.register("request-created.dynamodb.PutItem", count_attempt)
    made.meta.events.register("response-received.dynamodb.PutItem", settle_attempt)
    return made


def connect(client: "DynamoDBClient", table: str) -> None:
    """Open the connection to DynamoDB while Lambda starts the function, so that the first request finds it open.

    To read 126 certificates and begin TLS takes 20 ms of CPU, four fifths of all that the first request would take: at
    512 MB it has 0.29 of a CPU, and a start has a whole one. By looking up a key that the table does not have. Once,
    and what goes wrong is for the first request to meet: a start that fails or takes 10 s is begun again.
    """
    if "AWS_LAMBDA_INITIALIZATION_TYPE" in os.environ and client.meta.endpoint_url.startswith("https:"):
        nothing = {"pk": {"S": "#"}, "sk": {"S": "#"}}
        retry = "needs-retry.dynamodb.BatchGetItem"
        client.meta.events.register_first(retry, give_up)
        with suppress(Exception):
            client.batch_get_item(RequestItems={table: {"Keys": [nothing]}})
        client.meta.events.unregister(retry, give_up)


def give_up(**_: object) -> None:
    """End a call after its first attempt, whatever came of it."""
    raise InterruptedError


def pass_json(client: "DynamoDBClient") -> None:
    """Make a client send its puts, and take all answers, as the JSON that they are.

    botocore walks along its model of the service through each value of what it sends and receives, for bytes and dates
    to convert. Our items have none, and the walk is a twentieth to a tenth of a plain create and a sixth of one with
    seven references (CPU; docs/decisions.md). By its events, in the order in which a call meets them.
    """
    client.meta.events.register("provide-client-params.dynamodb.PutItem", keep_parameters)
    client.meta.events.register("before-call.dynamodb.PutItem", send_parameters)
    client.meta.events.register("before-parse.dynamodb", take_answer)


def keep_parameters(params: dict[str, Any], context: dict[str, Any], **_: object) -> None:
    """Put the parameters aside, as the body that they will be, and leave botocore the short ones."""
    context["body"] = to_json(params)
    del params["Item"]


def send_parameters(params: dict[str, Any], context: dict[str, Any], **_: object) -> None:
    """Send them instead of what botocore made of the rest. It signs them after this."""
    params["body"] = context["body"]


def take_answer(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object) -> None:
    """Take an answer as it is, and leave botocore an empty one; errors, and what is no JSON, are for botocore."""
    if response_dict["status_code"] == 200:
        with suppress(ValueError):
            customized_response_dict.update(from_json(response_dict["body"]))
            response_dict["body"] = b"{}"


def may_repeat(error: Exception) -> bool:
    """Whether the SDK stopped only at its limits, on the attempts of a call or on retries over many calls."""
    if isinstance(error, ClientError):
        return not {"MaxAttemptsReached", "RetryQuotaReached"}.isdisjoint(error.response["ResponseMetadata"])
    return isinstance(error, (HTTPClientError, *NEVER_SENT))
