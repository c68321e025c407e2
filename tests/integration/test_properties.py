"""Properties of every response, for generated requests (hypothesis)."""

import json
from typing import Any

from conftest import CONTEXT, make_event
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from integration.api import send
from mypy_boto3_dynamodb import DynamoDBClient

from sessions.handler import handler
from sessions.models import NewSession, SessionInfo
from sessions.negotiation import CALLBACK
from sessions.parsing import TEXT_FIELDS

NAMES = [str(field.alias) for field in NewSession.model_fields.values()]
SHARED = {str(field.alias) for field in SessionInfo.model_fields.values()} & set(NAMES)

# The examples of one test share a table: each session has an id of its own.
many = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

text = st.text(st.characters(codec="utf-8"), max_size=40)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=12,
)
likely_values = st.one_of(
    st.sampled_from(["Voice", "chat", "Incoming", "OUTGOING", "Connected", "disconnected", "user:bob", "+15550100001",
                     "true", "bob@example.com", ["bob@example.com"], "northwind", [], "x" * 600, "", True,
                     False, None]),
    text,
    json_values,
)  # fmt: skip
any_object = st.dictionaries(st.sampled_from(NAMES) | text, likely_values, max_size=14)


@many
@given(body=any_object)
@example(body={"displayName": "\u2028</script>", "fromAddress": ""})
def test_any_object_creates_a_session_with_its_fields_or_gets_field_errors(
    directory: DynamoDBClient, body: dict[str, Any]
) -> None:
    assert directory
    status, reply = send(make_event(body))
    if status == 200:
        for name in SHARED & set(body):
            if body[name] in (None, "") and name not in TEXT_FIELDS:
                assert reply.get(name) == send(make_event())[1].get(name)
            elif body[name] is not None and name not in {"channel", "direction", "callState"}:
                assert reply[name] == body[name]
            elif body[name] is not None:
                assert reply[name].lower() == body[name].lower()
    else:
        assert status == 400
        errors = reply["responseStatus"]["errors"]
        assert errors
        assert {error["fieldName"].partition("[")[0] for error in errors} <= set(NAMES)
        assert all(error["errorCode"] and error["message"] for error in errors)


@many
@given(body=st.text(st.characters(), max_size=60) | json_values.map(json.dumps))
def test_no_body_causes_a_500(dynamodb: DynamoDBClient, body: str) -> None:
    assert dynamodb
    assert send(make_event(body))[0] in {200, 400}


@many
@given(query=st.dictionaries(st.sampled_from(["callback", "format", "x", *NAMES]), text, max_size=3), accept=text)
def test_no_query_string_and_no_accept_header_cause_a_500(
    dynamodb: DynamoDBClient, query: dict[str, str], accept: str
) -> None:
    assert dynamodb
    event = make_event({}) | {"queryStringParameters": query, "headers": {"accept": accept}}
    assert handler(event, CONTEXT)["statusCode"] in {200, 400, 406}


@many
@given(name=st.text(max_size=20) | st.from_regex(CALLBACK))
def test_a_jsonp_response_is_one_call_of_a_safe_name(dynamodb: DynamoDBClient, name: str) -> None:
    assert dynamodb
    response = handler(make_event({"displayName": "x"}) | {"queryStringParameters": {"callback": name}}, CONTEXT)
    if response["statusCode"] == 200:
        assert name.isascii()
        assert not set(name) & set("()<>;,'\"` \n\r/\\=")
        assert response["body"].startswith(f"{name}({{" if name else "{")
    else:
        assert response["statusCode"] == 400
        assert response["headers"]["Content-Type"] == "application/json"
