"""Each event of the folder events, with an AWS in memory that holds what `make invoke` gives it."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from conftest import CONTEXT, DOCUMENTED, ROOT, describe, load_event
from mypy_boto3_dynamodb import DynamoDBClient

import invoke
from directory.import_directory import handler as import_directory


@pytest.fixture
def ask(dynamodb: DynamoDBClient, template: dict[str, Any]) -> Any:  # noqa: ANN401
    """To call with an event's name, for what its function answers, the last time if it is to be sent twice."""
    assert dynamodb
    invoke.fill()

    def ask(name: str) -> Any:  # noqa: ANN401
        event = load_event(name)
        resources = template["Resources"]
        function = resources[invoke.find_function(Path(f"{name}.json"), resources)]
        module, _, handler = function["Properties"]["Handler"].rpartition(".")
        answers = [getattr(import_module(module), handler)(event, CONTEXT) for _ in range(invoke.count_calls(event))]
        return answers[-1]

    return ask


def test_each_event_has_its_row_in_the_readme() -> None:
    assert sorted(DOCUMENTED) == sorted(path.stem for path in (ROOT / "events").glob("*.json"))


@pytest.mark.parametrize(("name", "answer"), DOCUMENTED.items())
def test_an_event_is_answered_as_the_readme_says(ask: Any, name: str, answer: str) -> None:  # noqa: ANN401
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


def test_the_directory_that_events_find_is_what_the_import_makes(dynamodb: DynamoDBClient) -> None:
    def scan() -> list[str]:
        return sorted(json.dumps(item, sort_keys=True) for item in dynamodb.scan(TableName="directory")["Items"])

    invoke.fill()
    filled = scan()
    import_directory(load_event("import-directory"), CONTEXT)
    assert scan() == filled


def test_an_event_that_tells_no_function_is_refused(template: dict[str, Any]) -> None:
    with pytest.raises(SystemExit, match=r"createsession.json tells no function: .* create-session or get-session or"):
        invoke.find_function(Path("createsession.json"), template["Resources"])
