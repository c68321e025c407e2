"""Each event of the folder events, with the demo data in an AWS in memory."""

import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from conftest import CONTEXT, DOCUMENTED, ROOT, describe, load_event
from mypy_boto3_dynamodb import DynamoDBClient

from directory import add_claims, import_directory
from sessions import handler, publish_events
from sessions.publish_events import DEAD_LETTERS, EVENT_BUS

type Ask = Callable[[str], Any]

HANDLERS: dict[str, Callable[..., Any]] = {
    "add-claims": add_claims.handler,
    "import-directory": import_directory.handler,
    "publish-events": publish_events.handler,
}


@pytest.fixture
def ask(directory: DynamoDBClient) -> Ask:
    """A function that sends a named event, and returns the answer. It sends an event with an Idempotency-Key twice."""
    for record in load_event("publish-events")["Records"]:
        directory.put_item(TableName="sessions", Item=record["dynamodb"]["NewImage"])
    boto3.client("events").create_event_bus(Name=EVENT_BUS)
    assert boto3.client("sqs").create_queue(QueueName="dead-letters")["QueueUrl"] == DEAD_LETTERS

    def ask(name: str) -> Any:  # noqa: ANN401
        event = load_event(name)
        handle = handler.handler if "routeKey" in event else HANDLERS["-".join(name.split("-")[:2])]
        if "idempotency-key" in event.get("headers", {}):
            handle(event, CONTEXT)
        return handle(event, CONTEXT)

    return ask


def test_the_readme_lists_every_event() -> None:
    assert sorted(DOCUMENTED) == sorted(path.stem for path in (ROOT / "events").glob("*.json"))


@pytest.mark.parametrize(("name", "answer"), DOCUMENTED.items(), ids=DOCUMENTED)
def test_an_event_gets_the_answer_that_the_readme_gives(ask: Ask, name: str, answer: str) -> None:
    assert describe(ask(name)) == answer


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [("create-session-base64", "displayName", "Zoë"), ("create-session-json-as-form", "toAddress", "+15557654321")],
)
def test_a_body_in_base64_is_decoded(ask: Ask, name: str, field: str, value: str) -> None:
    assert load_event(name)["isBase64Encoded"]
    assert json.loads(ask(name)["body"])[field] == value
