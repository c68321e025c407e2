"""From the Sessions table's stream to the event bus: announce each new session, as stored.

    record ──> SessionCreated ──> PutEvents, 10 entries each ──> event bus
       │                                │
       │                                └─ refused entries: 4 attempts, then raise. Lambda retries the batch.
       └─ not a session ──> dead-letter queue. Raising would block the records behind it.

Delivery is at least once: a retried batch may publish an event twice.
"""

import json
import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from aws.client import attempts, make_client
from aws.wire import from_wire
from sessions.models import SessionCreated

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_sqs import SQSClient

EVENT_BUS = os.environ["EVENT_BUS"]
DEAD_LETTERS = os.environ["DEAD_LETTERS"]  # the URL of the queue
SOURCE, DETAIL_TYPE = "sessions", "SessionCreated"

ENTRIES_MAX = 10  # of a PutEvents
REQUEST_MAX = 1_000_000  # bytes of all entries; an event may have 1 MB (256 KB until January 2026)
MESSAGE_MAX = 1024 * 1024  # bytes of an SQS message
ATTEMPTS_MAX = 4

logger = Logger()
events: "EventBridgeClient" = make_client("events", read_seconds=5, attempts=3)
sqs: "SQSClient" = make_client("sqs", read_seconds=5, attempts=3)


class NotPublishedError(Exception):
    """The event bus refused entries of a batch."""


def handler(event: dict[str, Any], _: LambdaContext) -> dict[str, int]:
    """Publish a batch of stream records. Return the numbers of published events and of dead letters.

    Raise if a record is neither on the bus nor in the dead-letter queue. Log one line for the batch and one for each
    dead letter, without the content of a session.
    """
    started = time.perf_counter()
    details, dead_letters = [], []
    for record in event["Records"]:
        try:
            details.append(make_detail(record))
        except Exception:  # a retry would fail, too; the traceback contains no values
            logger.exception("The record is not a session", extra={"record_id": record.get("eventID")})
            dead_letters.append(record)
    publish(details)
    # Send dead letters last. If the bus is down, `publish` raises first, so a retry sends no dead letter twice.
    for record in dead_letters:
        send_dead_letter(record)
    counts = {"published": len(details), "dead_letters": len(dead_letters)}
    logger.info("Published", extra=counts | {"milliseconds": round((time.perf_counter() - started) * 1000, 1)})
    return counts


def make_detail(record: dict[str, Any]) -> str:
    """Return the detail of the event for a new item, as JSON. Raise if it is not a session, or too large."""
    image = from_wire(record["dynamodb"]["NewImage"])
    event_id = f"{image['id']}-{image['dateCreated']}"
    content = {"startSession": False} | image | {"session": image, "eventId": event_id}
    detail = SessionCreated.model_validate(content).model_dump_json(exclude_none=True)
    if count_bytes(detail) > REQUEST_MAX:
        raise ValueError(f"the event is larger than {REQUEST_MAX:,} bytes")
    return detail


def publish(details: list[str]) -> None:
    """Put all events on the bus. Raise botocore's errors, or NotPublishedError if the bus refuses some entries.

    In the latter case all other entries are on the bus.
    """
    error_codes = [code for batch in split(details) for code in put_events(batch)]
    if error_codes:
        raise NotPublishedError(f"{len(error_codes)} of {len(details)} events: {', '.join(sorted(set(error_codes)))}")


def split(details: list[str]) -> Iterator[list[str]]:
    """Split the details, in order, into batches for PutEvents."""
    batch: list[str] = []
    for detail in details:
        if len(batch) == ENTRIES_MAX or sum(map(count_bytes, [*batch, detail])) > REQUEST_MAX:
            yield batch
            batch = []
        batch.append(detail)
    if batch:
        yield batch


def count_bytes(detail: str) -> int:
    """Return the size of an entry in bytes, by EventBridge's rule."""
    return len(SOURCE) + len(DETAIL_TYPE) + len(detail.encode())


def put_events(details: list[str]) -> list[str]:
    """Put a batch on the bus, and retry refused entries. Return the error codes of those that stay refused."""
    error_codes: list[str] = []
    for _ in attempts(ATTEMPTS_MAX):
        response = events.put_events(
            Entries=[
                {"EventBusName": EVENT_BUS, "Source": SOURCE, "DetailType": DETAIL_TYPE, "Detail": detail}
                for detail in details
            ]
        )
        refused = [
            (detail, result["ErrorCode"])
            for detail, result in zip(details, response["Entries"], strict=True)
            if "ErrorCode" in result
        ]
        details, error_codes = [detail for detail, _ in refused], [code for _, code in refused]
        if not refused:
            break
    return error_codes


def send_dead_letter(record: dict[str, Any]) -> None:
    """Send a record to the dead-letter queue; without its image if it is too large for a message.

    The message is ASCII: SQS refuses some characters that DynamoDB stores.
    """
    body = json.dumps(record)
    if len(body) > MESSAGE_MAX:
        without_image = {name: value for name, value in record["dynamodb"].items() if name != "NewImage"}
        body = json.dumps(record | {"dynamodb": without_image})
    sqs.send_message(QueueUrl=DEAD_LETTERS, MessageBody=body)
