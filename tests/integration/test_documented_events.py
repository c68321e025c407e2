"""Each event of the folder events, with the AWS in memory of `make invoke`."""

import json
from importlib import import_module
from typing import Any

import boto3
import pytest
from conftest import CONTEXT, DOCUMENTED, ROOT, describe, load_event
from mypy_boto3_dynamodb import DynamoDBClient

import fake_aws


@pytest.fixture
def ask(dynamodb: DynamoDBClient, template: dict[str, Any]) -> Any:  # noqa: ANN401
    """Return a function that sends an event by its name, twice if it has an Idempotency-Key; it returns the answer."""
    assert dynamodb
    fake_aws.add_demo_data(boto3.client)

    def ask(name: str) -> Any:  # noqa: ANN401
        event = load_event(name)
        properties = template["Resources"][fake_aws.find_function(name, event)]["Properties"]
        module, _, handler = properties["Handler"].rpartition(".")
        calls = 2 if "idempotency-key" in event.get("headers", {}) else 1
        return [getattr(import_module(module), handler)(event, CONTEXT) for _ in range(calls)][-1]

    return ask


def test_each_event_has_its_row_in_the_readme() -> None:
    assert sorted(DOCUMENTED) == sorted(path.stem for path in (ROOT / "events").glob("*.json"))


@pytest.mark.parametrize(("name", "answer"), DOCUMENTED.items(), ids=DOCUMENTED)
def test_event(ask: Any, name: str, answer: str) -> None:  # noqa: ANN401
    assert describe(ask(name)) == answer


def test_the_session_with_references_has_what_they_name(ask: Any) -> None:  # noqa: ANN401
    session = json.loads(ask("create-session-with-references")["body"])
    assert session["channel"] == "Chat"
    assert session["customerName"] == "Northwind Paris"
    assert [each["id"] for each in session["customerBreadcrumb"]] == ["northwind", "northwind-emea", "northwind-paris"]
    assert session["fromPhoneNumber"] == "+15550100001"
    assert [member["identity"] for member in session["members"]] == ["user:ada", "user:bob", "user:carol"]


def test_jsonp_is_a_call_of_the_function_with_the_session(ask: Any) -> None:  # noqa: ANN401
    response = ask("create-session-jsonp")
    assert response["headers"]["Content-Type"] == "application/javascript"
    assert "<" not in response["body"]
    assert response["body"].isascii()
    assert json.loads(response["body"].removeprefix("shop.onSession(").removesuffix(")"))["displayName"] == "Zoë <3"


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [("create-session-base64", "displayName", "Zoë"), ("create-session-json-as-form", "toAddress", "+15557654321")],
)
def test_a_body_in_base64_is_read(ask: Any, name: str, field: str, value: str) -> None:  # noqa: ANN401
    assert load_event(name)["isBase64Encoded"]
    assert json.loads(ask(name)["body"])[field] == value
