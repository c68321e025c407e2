"""From the Sessions table's stream to the event bus: publish each new session and each end, as stored.

    record ──> SessionCreated or SessionEnded ──> PutEvents, 10 entries each ──> event bus
       │                                               │
       │                     refused entries: 4 attempts, then raise. Lambda retries the batch.
       │
       ├─ another change ──> no event
       └─ not a session, or too large ──> dead-letter queue. Raising would block the records behind it.

Delivery is at least once: a retried batch may publish an event twice.
"""

import json
import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from aws.client import attempts, make_client
from aws.wire import from_wire
from sessions.models import SessionCreated, SessionEnded, SessionEvent

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_sqs import SQSClient

EVENT_BUS = os.environ["EVENT_BUS"]
DEAD_LETTERS = os.environ["DEAD_LETTERS"]  # the URL of the queue
SOURCE = "sessions"

ENTRIES_MAX = 10  # of a PutEvents
REQUEST_MAX = 1_000_000  # bytes of all entries; an event may have 1 MB (256 KB until January 2026)
MESSAGE_MAX = 1024 * 1024  # bytes of an SQS message
ATTEMPTS_MAX = 4

logger = Logger()
bus: "EventBridgeClient" = make_client("events", read_seconds=5, attempts=3)
sqs: "SQSClient" = make_client("sqs", read_seconds=5, attempts=3)


class Event(NamedTuple):
    """An event for the bus."""

    detail_type: str
    detail: str
    """JSON."""


class NotPublishedError(Exception):
    """The event bus refused entries of a batch."""


def handler(event: dict[str, Any], _: LambdaContext) -> dict[str, int]:
    """Publish a batch of stream records. Return the numbers of published events and of dead letters.

    Raise if an event or a dead letter was not sent. Log one line for the batch and one for each dead letter, without
    the content of a session.
    """
    started = time.perf_counter()
    events: list[Event] = []
    dead_letters: list[dict[str, Any]] = []
    for record in event["Records"]:
        try:
            events += make_events(record)
        except Exception:  # a retry would fail, too; the traceback contains no values
            logger.exception("The record cannot be published", extra={"record_id": record.get("eventID")})
            dead_letters.append(record)
    publish(events)
    # Send dead letters last. If the bus is down, `publish` raises first, so a retry sends no dead letter twice.
    for record in dead_letters:
        send_dead_letter(record)
    counts = {"published": len(events), "dead_letters": len(dead_letters)}
    logger.info("Published", extra=counts | {"milliseconds": round((time.perf_counter() - started) * 1000, 1)})
    return counts


def make_events(record: dict[str, Any]) -> list[Event]:
    """Return the event of a stream record: of a new session or of an end. Another change has no event.

    A create may replace an expired session. The new session then has another `writeId`.

    Raise if the item is not a session, or if the event would be too large.
    """
    change = record["dynamodb"]
    image, earlier = from_wire(change["NewImage"]), from_wire(change.get("OldImage", {}))
    model: type[SessionEvent]
    if not earlier or earlier.get("writeId") != image.get("writeId"):
        model, event_id = SessionCreated, f"{image['id']}-{image['dateCreated']}"
    elif image["ended"] and not earlier["ended"]:
        model, event_id = SessionEnded, f"{image['id']}-ended-{image['dateCompleted']}"
    else:
        return []
    facts = {"session": image, "eventId": event_id, "endedBy": image["lastModifiedBy"]}
    detail = model.model_validate({"startSession": False} | image | facts).model_dump_json(exclude_none=True)
    event = Event(model.__name__, detail)
    if count_bytes(event) > REQUEST_MAX:
        raise ValueError(f"the event is larger than {REQUEST_MAX:,} bytes")
    return [event]


def publish(events: list[Event]) -> None:
    """Put all events on the bus. Raise botocore's errors.

    If the bus refuses some entries, put all others on the bus, and then raise NotPublishedError.
    """
    error_codes = [code for batch in split(events) for code in put_events(batch)]
    if error_codes:
        raise NotPublishedError(f"{len(error_codes)} of {len(events)} events: {', '.join(sorted(set(error_codes)))}")


def split(events: list[Event]) -> Iterator[list[Event]]:
    """Split the events, in order, into batches for PutEvents."""
    batch: list[Event] = []
    for event in events:
        if len(batch) == ENTRIES_MAX or sum(map(count_bytes, [*batch, event])) > REQUEST_MAX:
            yield batch
            batch = []
        batch.append(event)
    if batch:
        yield batch


def count_bytes(event: Event) -> int:
    """Return the size of an entry in bytes, by EventBridge's rule."""
    return len(SOURCE) + len(event.detail_type) + len(event.detail.encode())


def put_events(batch: list[Event]) -> list[str]:
    """Put a batch on the bus, and retry refused entries. Return the error codes of those that stay refused."""
    error_codes: list[str] = []
    for _ in attempts(ATTEMPTS_MAX):
        response = bus.put_events(
            Entries=[
                {"EventBusName": EVENT_BUS, "Source": SOURCE, "DetailType": event.detail_type, "Detail": event.detail}
                for event in batch
            ]
        )
        refused = [
            (event, result["ErrorCode"])
            for event, result in zip(batch, response["Entries"], strict=True)
            if "ErrorCode" in result
        ]
        batch, error_codes = [event for event, _ in refused], [code for _, code in refused]
        if not refused:
            break
    return error_codes


def send_dead_letter(record: dict[str, Any]) -> None:
    """Send a record to the dead-letter queue; without its images if it is too large for a message.

    The message is ASCII: SQS refuses some characters that DynamoDB stores.
    """
    body = json.dumps(record)
    if len(body) > MESSAGE_MAX:
        without_images = {name: value for name, value in record["dynamodb"].items() if not name.endswith("Image")}
        body = json.dumps(record | {"dynamodb": without_images})
    sqs.send_message(QueueUrl=DEAD_LETTERS, MessageBody=body)
