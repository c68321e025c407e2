"""Shared by all tests: the environment of the functions, the template as data, and events for the handlers.

Unit tests start in under a second, because this module loads neither moto nor a handler.
"""

import json
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
import yaml

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

# No test reaches AWS, or reads the developer's settings for it.
for name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[name]
# The functions read these variables at import.
os.environ.update(
    AWS_CONFIG_FILE=os.devnull,
    AWS_SHARED_CREDENTIALS_FILE=os.devnull,
    AWS_DEFAULT_REGION="us-east-1",
    AWS_ACCESS_KEY_ID="test",
    AWS_SECRET_ACCESS_KEY="test",
    POWERTOOLS_SERVICE_NAME="sessions",
    POWERTOOLS_METRICS_NAMESPACE="sessions",
    SESSIONS_TABLE="sessions",
    DIRECTORY_TABLE="directory",
    SESSION_RETENTION_DAYS="0",
    EVENT_BUS="sessions",
    DEAD_LETTERS="https://sqs.us-east-1.amazonaws.com/123456789012/dead-letters",
)

ROOT = Path(__file__).parent.parent


class TemplateLoader(yaml.SafeLoader):
    """Loader of CloudFormation's short tags: `!Ref X` becomes {"Ref": "X"}, and `!F x` becomes {"Fn::F": x}."""


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
    """template.yaml, with the short tags in their long form."""
    content = yaml.load((ROOT / "template.yaml").read_text(), TemplateLoader)  # noqa: S506 (a SafeLoader)
    return cast("dict[str, Any]", content)


def load_event(name: str) -> dict[str, Any]:
    """Return an event of the folder events."""
    return cast("dict[str, Any]", json.loads((ROOT / "events" / f"{name}.json").read_text()))


def load_event_schema(detail_type: str) -> dict[str, Any]:
    """Return the JSON Schema of the detail of an event."""
    schemas: dict[str, Any] = json.loads((ROOT / "docs/events/schemas.json").read_text())
    return schemas | {"$ref": f"#/$defs/{detail_type}"}


# The answer to each event, in the words of events/README.md.
DOCUMENTED: dict[str, str] = {
    row["event"].removesuffix(".json"): row["answer"]
    for row in json.loads((ROOT / "docs/data/events.json").read_text())
}


def describe(answer: Any) -> str:  # noqa: ANN401
    """Return an answer in the words of events/README.md."""
    match answer:
        case {"statusCode": 200, "headers": {"Idempotent-Replayed": "true"}}:
            return "200 with `Idempotent-Replayed: true`"
        case {"statusCode": 200 | 204 as status}:
            return str(status)
        case {"statusCode": status, "body": body}:
            return f"{status} `{json.loads(body)['responseStatus']['errorCode']}`"
        case {"response": {"claimsAndScopeOverrideDetails": added}}:
            assert added["idTokenGeneration"] == added["accessTokenGeneration"]
            claims = added["idTokenGeneration"]["claimsToAddOrOverride"]
            return ", ".join(f"`{claim}`" for claim in claims) + " on both tokens"
    return f"`{json.dumps(answer)}`"


def make_event(body: object = None, key: str | None = None, **claims: str | None) -> dict[str, Any]:
    """Return a create by ada, with a request id of its own.

    A string is the body itself; any other body becomes JSON. `key` is the Idempotency-Key. A claim of None is omitted.
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
    """Return a read of a session by ada. A claim of None is omitted."""
    return make_session_event("get-session", session_id, claims)


def make_end(session_id: str, **claims: str | None) -> dict[str, Any]:
    """Return an end of a session by ada. A claim of None is omitted."""
    return make_session_event("end-session", session_id, claims)


def make_session_event(name: str, session_id: str, claims: dict[str, str | None]) -> dict[str, Any]:
    """Return an event of the folder events with another session and other claims."""
    event = load_event(name)
    event["rawPath"] = f"/sessions/{session_id}"
    event["pathParameters"]["sessionId"] = session_id
    event["requestContext"]["authorizer"] = make_event(**claims)["requestContext"]["authorizer"]
    return event


def make_typed(event: dict[str, Any], route: str, **query: str) -> dict[str, Any]:
    """Return the event as a typed ServiceStack client sends it: the query string has the parameters, not the path."""
    _, path = route.split()
    without_path = {name: value for name, value in event.items() if name != "pathParameters"}
    return without_path | {"routeKey": route, "rawPath": path, "queryStringParameters": query}


class Context:
    """The attributes of a LambdaContext that the handlers use."""

    function_name = "sessions"
    aws_request_id = "11111111-2222-3333-4444-555555555555"


CONTEXT = cast("LambdaContext", Context())
