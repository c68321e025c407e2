"""Each event of the folder events, with the AWS in memory that `make invoke` gives it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from conftest import CONTEXT, DOCUMENTED, ROOT, describe, load_event
from mypy_boto3_dynamodb import DynamoDBClient

import invoke
from directory import add_claims, import_directory
from sessions import handler, publish_events

type Ask = Callable[[str], Any]

HANDLERS: dict[str, Callable[..., Any]] = {
    "add-claims": add_claims.handler,
    "import-directory": import_directory.handler,
    "publish-events": publish_events.handler,
}


@pytest.fixture
def ask(dynamodb: DynamoDBClient) -> Ask:
    """A function that sends the event of a name, and returns the answer. It sends an event with a key twice."""
    assert dynamodb
    invoke.fill()

    def ask(name: str) -> Any:  # noqa: ANN401
        event = load_event(name)
        handle = handler.handler if "routeKey" in event else HANDLERS[name]
        if "idempotency-key" in event.get("headers", {}):
            handle(event, CONTEXT)
        return handle(event, CONTEXT)

    return ask


def test_the_readme_lists_every_event() -> None:
    assert sorted(DOCUMENTED) == sorted(path.stem for path in (ROOT / "events").glob("*.json"))


@pytest.mark.parametrize(("name", "answer"), DOCUMENTED.items())
def test_an_event_gets_the_answer_that_the_readme_gives(ask: Ask, name: str, answer: str) -> None:
    assert describe(ask(name)) == answer


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [("create-session-base64", "displayName", "Zoë"), ("create-session-json-as-form", "toAddress", "+15557654321")],
)
def test_a_body_in_base64_is_decoded(ask: Ask, name: str, field: str, value: str) -> None:
    assert load_event(name)["isBase64Encoded"]
    assert json.loads(ask(name)["body"])[field] == value


def test_make_invoke_has_the_directory_that_the_import_writes(dynamodb: DynamoDBClient) -> None:
    def scan() -> list[str]:
        return sorted(json.dumps(item, sort_keys=True) for item in dynamodb.scan(TableName="directory")["Items"])

    invoke.fill()
    filled = scan()
    import_directory.handler(load_event("import-directory"), CONTEXT)
    assert scan() == filled
