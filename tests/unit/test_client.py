"""The store's client of DynamoDB beside the one that botocore makes by default: the same calls, in less time."""

import json
from collections.abc import Iterator
from typing import Any, cast

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSPreparedRequest, AWSRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from botocore.handlers import BUILTIN_HANDLERS
from botocore.hooks import HierarchicalEmitter
from botocore.session import get_session

from sessions import store
from sessions.client import connect, make_client
from sessions.errors import ServiceError
from aws.wire import to_wire

SESSION = {
    "pk": "acme#1",
    "displayName": 'Zoë 🎧 "quoted" \u2028 <b>',
    "ended": False,
    "log": [{"date": "now", "message": ""}],
    "members": [{"applicationData": {}, "muted": True}],
    "customerBreadcrumb": [],
}
PUT: dict[str, Any] = {
    "TableName": "sessions",
    "Item": to_wire(SESSION),
    "ConditionExpression": "attribute_not_exists(pk)",
    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
}
KEY = {"TableName": "sessions", "Key": to_wire({"pk": "acme#1"})}
REFUSAL = {"__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException", "Item": to_wire(SESSION)}
ANSWERS: dict[str, tuple[str, dict[str, Any], int, bytes]] = {
    "put": ("put_item", PUT, 200, b"{}"),
    "refused put": ("put_item", PUT, 400, json.dumps(REFUSAL).encode()),
    "get": ("get_item", KEY, 200, json.dumps({"Item": to_wire(SESSION)}).encode()),
    "get of nothing": ("get_item", KEY, 200, json.dumps({"ConsumedCapacity": {"CapacityUnits": 0.5}}).encode()),
    "batch": (
        "batch_get_item",
        {"RequestItems": {"sessions": {"Keys": [KEY["Key"]]}}},
        200,
        json.dumps({"Responses": {"sessions": [to_wire(SESSION)]}, "UnprocessedKeys": {}}).encode(),
    ),
    "cut short": ("get_item", KEY, 200, b'{"Item": {"pk"'),
    "empty": ("get_item", KEY, 200, b""),
}


class Body:
    """The body of an HTTP response, as botocore reads it."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def stream(self) -> Iterator[bytes]:
        yield self.content


def exchange(client: Any, name: str) -> tuple[AWSPreparedRequest, dict[str, Any]]:  # noqa: ANN401 (either client)
    """What a client sends for one of the calls above, and what it makes of the answer."""
    method, parameters, status, answer = ANSWERS[name]
    sent: list[AWSPreparedRequest] = []

    def send(request: AWSPreparedRequest, **_: object) -> AWSResponse:
        sent.append(request)
        return AWSResponse(request.url, status, HTTPHeaders(), Body(answer))

    client.meta.events.register("before-send.dynamodb", send)
    try:
        response = getattr(client, method)(**parameters)
    except ClientError as error:
        response = error.response
    return sent[0], response


@pytest.mark.parametrize("name", ANSWERS)
def test_it_sends_and_reads_what_botocore_does_by_default(name: str) -> None:
    request, response = exchange(make_client("dynamodb"), name)
    usual_request, usual_response = exchange(get_session().create_client("dynamodb"), name)
    assert json.loads(cast("bytes", request.body)) == json.loads(cast("bytes", usual_request.body))
    assert (request.method, request.url) == (usual_request.method, usual_request.url)
    assert set(request.headers) == set(usual_request.headers)
    for header in ("X-Amz-Target", "Content-Type"):
        assert request.headers[header] == usual_request.headers[header]
    assert response == usual_response


def test_the_signature_is_that_of_what_is_sent() -> None:
    request, _ = exchange(make_client("dynamodb"), "put")
    headers = {
        name: value.decode() if isinstance(value, bytes) else str(value)
        for name, value in cast("dict[str, object]", request.headers).items()
    }
    signed = headers["Authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    again = AWSRequest(
        method=request.method,
        url=request.url,
        headers={name: value for name, value in headers.items() if name.lower() in signed},
        data=request.body,
    )
    again.context["timestamp"] = headers["X-Amz-Date"]
    auth = SigV4Auth(Credentials("test", "test"), "dynamodb", "us-east-1")
    signature = auth.signature(auth.string_to_sign(again, auth.canonical_request(again)), again)
    assert headers["Authorization"].endswith(f"Signature={signature}")
    assert headers["Content-Length"] == str(len(cast("bytes", request.body)))


def test_no_built_in_handler_that_dynamodb_has_is_left_out() -> None:
    events, called = HierarchicalEmitter(), []
    for event, *_ in BUILTIN_HANDLERS:
        if "." in event:
            events.register(event, lambda event_name, **_: called.append(event_name))
    for event in {event.partition(".")[0] for event, *_ in BUILTIN_HANDLERS} - {"docs"}:
        for operation in ("PutItem", "GetItem", "BatchGetItem"):
            events.emit(f"{event}.dynamodb.{operation}")
    assert called == []


def test_a_start_without_dynamodb_fails_after_one_attempt_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://127.0.0.1:1")  # where nothing listens
    monkeypatch.setattr("time.sleep", lambda _: None)
    monkeypatch.setattr(store, "client", make_client("dynamodb"))
    attempts: list[object] = []
    store.client.meta.events.register("before-send.dynamodb", lambda request, **_: attempts.append(request))
    connect(store.client, "directory")
    assert len(attempts) == 1
    with pytest.raises(ServiceError):
        store.batch_get({"directory": {"Keys": []}}, lambda: 0)
    assert len(attempts) == 1 + 3  # the attempts of a call are what they were
