"""From the sessions table's stream to the event bus: announces each new session, exactly as it was stored.

    record ──> SessionCreated ──> PutEvents, in tens ──> taken
       │                             │   ^
       │                             └───┘ what the bus did not take, by entry; what it never takes raises, so that
       │                                   the stream's mapping sends the records again until it does
       └─ is no session ──> the dead letters, whole, for to raise would hold up the records after it

Delivery is at least once: a batch that raises is sent again with what was published of it. The only module that talks
to EventBridge and SQS.
"""

import json
import os
import random
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config
from botocore.session import get_session

from sessions import collect_from_now_on
from sessions.models import SessionCreated
from sessions.wire import read_item

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_sqs import SQSClient

EVENT_BUS = os.environ["EVENT_BUS"]
DEAD_LETTERS = os.environ["DEAD_LETTERS"]  # the queue's URL
SOURCE, DETAIL_TYPE = "sessions", "SessionCreated"

ENTRIES_MAX = 10  # of a PutEvents
REQUEST_MAX = 1_000_000  # bytes of its entries: an event may have 1 MB (256 KB until January 2026)
MESSAGE_MAX = 1024 * 1024  # bytes of an SQS message
ATTEMPTS = 4

logger = Logger()
config = Config(connect_timeout=1, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3})
sdk = get_session()
events = cast("EventBridgeClient", sdk.create_client("events", config=config))
sqs = cast("SQSClient", sdk.create_client("sqs", config=config))

collect_from_now_on()


class NotPublishedError(Exception):
    """The bus did not take all events of a batch."""


def handler(event: dict[str, Any], _: LambdaContext) -> dict[str, int]:
    """Publish a batch of the stream's records. Raises unless each is on the bus or in the dead letters; counts both.

    Logs one line for the batch, and one for each dead letter; never what a session holds.
    """
    started = time.perf_counter()
    details, dead_letters = [], []
    for record in event["Records"]:
        try:
            details.append(make_detail(record))
        except Exception:  # whatever it is, the next attempt meets it again; the trace tells fields, not values
            logger.exception("not a session", extra={"record_id": record.get("eventID")})
            dead_letters.append(record)
    publish(details)
    # Last, so that they are sent once and not again with each attempt while the bus is away.
    for record in dead_letters:
        send_dead_letter(record)
    milliseconds = round((time.perf_counter() - started) * 1000, 1)
    counts = {"published": len(details), "dead_letters": len(dead_letters)}
    logger.info("OK", extra=counts | {"milliseconds": milliseconds})
    return counts


def make_detail(record: dict[str, Any]) -> str:
    """The event's detail for a new item of the table, as JSON. Raises what its parsing raises if it is no session."""
    image = read_item(record["dynamodb"]["NewImage"])
    event_id = f"{image['id']}-{image['dateCreated']}"
    content = {"startSession": False} | image | {"session": image, "eventId": event_id}
    detail = SessionCreated.model_validate(content).model_dump_json(exclude_none=True)
    if measure(detail) > REQUEST_MAX:
        raise ValueError("larger than any event")
    return detail


def publish(details: list[str]) -> None:
    """Put all on the bus, or raise: botocore's errors while the bus is away, NotPublishedError if it refuses some.

    Those that it does take are on it then, whichever it refuses.
    """
    refusals = [code for request in split(details) for code in put_events(request)]
    if refusals:
        raise NotPublishedError(f"{len(refusals)} of {len(details)} events: {', '.join(sorted(set(refusals)))}")


def split(details: list[str]) -> Iterator[list[str]]:
    """The details in their order, in lists that a PutEvents takes."""
    request: list[str] = []
    for detail in details:
        if len(request) == ENTRIES_MAX or sum(map(measure, [*request, detail])) > REQUEST_MAX:
            yield request
            request = []
        request.append(detail)
    if request:
        yield request


def measure(detail: str) -> int:
    """The bytes that EventBridge counts for an entry."""
    return len(SOURCE) + len(DETAIL_TYPE) + len(detail.encode())


def put_events(details: list[str]) -> list[str]:
    """Put these on the bus, again those that it does not take. The error code of each that it never took."""
    codes: list[str] = []
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(random.uniform(0, 0.1 * 2**attempt))  # noqa: S311 (jitter, no secret)
        response = events.put_events(
            Entries=[
                {"EventBusName": EVENT_BUS, "Source": SOURCE, "DetailType": DETAIL_TYPE, "Detail": detail}
                for detail in details
            ]
        )
        answers = list(zip(details, response["Entries"], strict=True))  # in the order of the request
        details = [detail for detail, answer in answers if "ErrorCode" in answer]
        codes = [answer["ErrorCode"] for _, answer in answers if "ErrorCode" in answer]
        if not details:
            break
    return codes


def send_dead_letter(record: dict[str, Any]) -> None:
    """Keep a record that is no session for its replay; one that is too large for a message without its image.

    In ASCII, because SQS refuses some characters that DynamoDB takes.
    """
    body = json.dumps(record)
    if len(body) > MESSAGE_MAX:
        changed = {name: value for name, value in record["dynamodb"].items() if name != "NewImage"}
        body = json.dumps(record | {"dynamodb": changed})
    sqs.send_message(QueueUrl=DEAD_LETTERS, MessageBody=body)
