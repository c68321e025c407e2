"""What all tests share: the template as data, the tables that it declares, and events to send to the handlers."""

import json
import logging
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from moto import mock_aws  # before the functions: moto must be loaded before the clients that it serves are made

import invoke

# The functions read these when they are imported. Nothing here ever reaches AWS.
os.environ.update(
    AWS_DEFAULT_REGION="us-east-1",
    AWS_ACCESS_KEY_ID="test",
    AWS_SECRET_ACCESS_KEY="test",
    POWERTOOLS_SERVICE_NAME="sessions",
    POWERTOOLS_METRICS_NAMESPACE="sessions",
    **invoke.VARIABLES,
)
for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN"):
    os.environ.pop(name, None)

import boto3  # noqa: E402
from aws_lambda_powertools.utilities.typing import LambdaContext  # noqa: E402
from mypy_boto3_dynamodb import DynamoDBClient  # noqa: E402

from directory.import_directory import handler as import_directory  # noqa: E402

ROOT = Path(__file__).parent.parent


class TemplateLoader(yaml.SafeLoader):
    """Reads CloudFormation's short tags: `!Ref X` becomes {"Ref": "X"}, any other `!F x` {"Fn::F": x}."""


def construct_tag(loader: TemplateLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(cast("yaml.MappingNode", node), deep=True)
    return {suffix if suffix == "Ref" else f"Fn::{suffix}": value}


TemplateLoader.add_multi_constructor("!", construct_tag)


@pytest.fixture(scope="session")
def template() -> dict[str, Any]:
    """template.yaml, its short tags in their long form."""
    content = yaml.load((ROOT / "template.yaml").read_text(), TemplateLoader)  # noqa: S506 (a SafeLoader)
    return cast("dict[str, Any]", content)


@pytest.fixture
def dynamodb(template: dict[str, Any]) -> Iterator[DynamoDBClient]:
    """A DynamoDB in memory with the tables of the template, so that keys in tests and production cannot differ."""
    with mock_aws():
        invoke.make_tables(template["Resources"])
        yield boto3.client("dynamodb")


@pytest.fixture
def directory(dynamodb: DynamoDBClient) -> DynamoDBClient:
    """The same with the demo directory in it, put there by its import, so that writer and readers cannot differ."""
    assert "errors" not in import_directory(load_event("import-directory"), CONTEXT)
    return dynamodb


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The log lines of the functions, as CloudWatch gets them."""
    lines: list[dict[str, Any]] = []
    for handler in logging.getLogger("sessions").handlers:
        monkeypatch.setattr(handler, "emit", lambda record, to=handler: lines.append(json.loads(to.format(record))))
    return lines


def load_event(name: str) -> dict[str, Any]:
    """An event of the folder events."""
    return cast("dict[str, Any]", json.loads((ROOT / "events" / f"{name}.json").read_text()))


# What events/README.md says that each event is answered.
DOCUMENTED: dict[str, str] = dict(
    re.findall(r"^\| `([a-z0-9-]+)\.json` \| .+ \| (.+) \|$", (ROOT / "events/README.md").read_text(), re.MULTILINE)
)


def describe(answer: Any) -> str:  # noqa: ANN401
    """An answer in the words of events/README.md."""
    match answer:
        case {"statusCode": 200, "headers": {"Idempotent-Replayed": "true"}}:
            return "200 with `Idempotent-Replayed: true`"
        case {"statusCode": 200}:
            return "200"
        case {"statusCode": status, "body": body}:
            return f"{status} `{json.loads(body)['responseStatus']['errorCode']}`"
        case {
            "response": {"claimsAndScopeOverrideDetails": {"idTokenGeneration": added, "accessTokenGeneration": same}}
        }:
            assert added == same
            return ", ".join(f"`{claim}`" for claim in added["claimsToAddOrOverride"]) + " on both tokens"
    return f"`{json.dumps(answer)}`"


def make_event(body: object = None, key: str | None = None, **claims: str | None) -> dict[str, Any]:
    """A create by ada, as the gateway hands each request over: with an id of its own.

    `body` is sent as JSON, or as it is if it is a string; `key` is its Idempotency-Key; a claim that is None is left
    out.
    """
    event = load_event("create-session")
    event["requestContext"]["requestId"] = secrets.token_urlsafe(11) + "="
    if key is not None:
        event["headers"]["idempotency-key"] = key
    event["body"] = body if isinstance(body, str | None) else json.dumps(body)
    jwt = event["requestContext"]["authorizer"]["jwt"]
    jwt["claims"] = {name: value for name, value in (jwt["claims"] | claims).items() if value is not None}
    return event


def make_get(session_id: str, **claims: str | None) -> dict[str, Any]:
    """A request of ada for a session. A claim that is None is left out."""
    event = load_event("get-session")
    event["rawPath"] = f"/sessions/{session_id}"
    event["pathParameters"]["sessionId"] = session_id
    event["requestContext"]["authorizer"] = make_event(**claims)["requestContext"]["authorizer"]
    return event


class Context:
    """As much of a LambdaContext as the handlers use."""

    function_name = "sessions"
    aws_request_id = "11111111-2222-3333-4444-555555555555"

    def get_remaining_time_in_millis(self) -> int:
        return 13_000  # enough for the calls that must be made, too little to repeat one


CONTEXT = cast("LambdaContext", Context())
