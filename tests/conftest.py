"""Shared by all tests: the environment of the functions, the template as data, and events for the handlers.

It loads neither moto nor a handler, so a test of pure functions starts at once. tests/integration/conftest.py does.
"""

import json
import os
import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
import yaml

import fake_aws

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

# The functions read these at import. Nothing in the tests ever reaches AWS.
os.environ.update(
    AWS_DEFAULT_REGION="us-east-1",
    AWS_ACCESS_KEY_ID="test",
    AWS_SECRET_ACCESS_KEY="test",
    **fake_aws.VARIABLES,
)
for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN"):
    os.environ.pop(name, None)

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
    """The attributes of a LambdaContext that the handlers use."""

    function_name = "sessions"
    aws_request_id = "11111111-2222-3333-4444-555555555555"


CONTEXT = cast("LambdaContext", Context())
