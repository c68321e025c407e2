"""Clients of AWS: requests and answers, the pauses between attempts, and the retries of a call of DynamoDB."""

import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import (
    ChecksumError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ProxyConnectionError,
    ReadTimeoutError,
    SSLError,
)
from botocore.parsers import ResponseParserError
from botocore.session import get_session

from aws import client
from aws.client import CallFailedError, attempts, call, make_client, warm_up
from aws.wire import to_wire

SESSION = {"pk": "acme#1", "displayName": 'Zoë 🎧 "quoted" \u2028 <b>', "ended": False, "members": [{"muted": True}]}
KEY = to_wire({"pk": "acme#1"})
PUT: dict[str, Any] = {
    "TableName": "sessions",
    "Item": to_wire(SESSION),
    "ConditionExpression": "attribute_not_exists(pk)",
    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
}
CALLS: dict[str, tuple[str, dict[str, Any], int, dict[str, Any]]] = {
    "put": ("put_item", PUT, 200, {"ConsumedCapacity": {"CapacityUnits": 1.0}}),
    "refused put": (
        "put_item",
        PUT,
        400,
        {"__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException", "Item": to_wire(SESSION)},
    ),
    "get": ("get_item", {"TableName": "sessions", "Key": KEY}, 200, {"Item": to_wire(SESSION)}),
    "batch get": (
        "batch_get_item",
        {"RequestItems": {"sessions": {"Keys": [KEY]}}},
        200,
        {"Responses": {"sessions": [to_wire(SESSION)]}, "UnprocessedKeys": {}},
    ),
}


class Clock:
    """A clock that moves when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.pauses: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.pauses.append(seconds)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Replace the clock. Each pause is as long as the jitter allows."""
    clock = Clock()
    monkeypatch.setattr(client, "time", clock)
    monkeypatch.setattr(client.random, "uniform", lambda _, high: high)
    monkeypatch.setattr("time.sleep", lambda _: None)  # botocore's own back-off
    return clock


class Body:
    """The body of an HTTP answer, as botocore reads it."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def stream(self) -> Iterator[bytes]:
        yield self.content


def answer_with(
    dynamodb: Any,  # noqa: ANN401 (any client)
    status: int,
    content: bytes,
    headers: dict[str, str] | None = None,
) -> list[AWSPreparedRequest]:
    """Answer each request of a client. Return the list that collects the requests."""
    requests: list[AWSPreparedRequest] = []

    def send(request: AWSPreparedRequest, **_: object) -> AWSResponse:
        requests.append(request)
        return AWSResponse(request.url, status, HTTPHeaders.from_dict(headers or {}), Body(content))

    dynamodb.meta.events.register("before-send.dynamodb", send)
    return requests


def exchange(dynamodb: Any, name: str) -> tuple[AWSPreparedRequest, dict[str, Any]]:  # noqa: ANN401 (any client)
    """Return the request that a client sends for one of CALLS, and the answer that it reads."""
    method, parameters, status, content = CALLS[name]
    requests = answer_with(dynamodb, status, json.dumps(content).encode())
    try:
        answer = getattr(dynamodb, method)(**parameters)
    except ClientError as error:
        answer = error.response
    return requests[0], answer


@pytest.mark.parametrize("name", CALLS)
def test_a_client_sends_and_reads_the_same_as_botocores_default_client(name: str) -> None:
    request, answer = exchange(make_client("dynamodb"), name)
    default_request, default_answer = exchange(get_session().create_client("dynamodb"), name)
    assert json.loads(cast("bytes", request.body)) == json.loads(cast("bytes", default_request.body))
    assert (request.method, request.url) == (default_request.method, default_request.url)
    assert set(request.headers) == set(default_request.headers)
    for header in ("X-Amz-Target", "Content-Type"):
        assert request.headers[header] == default_request.headers[header]
    assert answer == default_answer


@pytest.mark.parametrize("number", [1, 3])
def test_a_client_makes_as_many_attempts_as_it_is_told(number: int) -> None:
    dynamodb = make_client("dynamodb", attempts=number)
    requests = answer_with(dynamodb, 500, b"{}")
    with pytest.raises(ClientError):
        dynamodb.get_item(TableName="sessions", Key=KEY)
    assert len(requests) == number


@pytest.mark.parametrize("number", [1, 3])
def test_a_client_never_returns_an_answer_with_a_wrong_checksum(number: int) -> None:
    dynamodb = make_client("dynamodb", attempts=number)
    requests = answer_with(dynamodb, 200, b"{}", {"x-amz-crc32": "1"})
    with pytest.raises(ChecksumError):
        dynamodb.get_item(TableName="sessions", Key=KEY)
    assert len(requests) == number


@pytest.mark.parametrize(
    ("longest_pause", "pauses"), [(1.0, [0.2, 0.4, 0.8, 1.0, 1.0]), (5.0, [0.2, 0.4, 0.8, 1.6, 3.2])]
)
def test_the_pauses_between_attempts_double_up_to_the_longest_one(
    clock: Clock, longest_pause: float, pauses: list[float]
) -> None:
    assert list(attempts(6, longest_pause=longest_pause)) == [1, 2, 3, 4, 5, 6]
    assert clock.pauses == pytest.approx(pauses)


def test_no_attempt_starts_after_the_deadline(clock: Clock) -> None:
    starts = [clock.now - 100 for _ in attempts(10, seconds=1.5)]
    assert starts == pytest.approx([0, 0.2, 0.6, 1.4])


ANSWER = {"ConsumedCapacity": {"CapacityUnits": 1.0}}
type Outcome = Exception | dict[str, Any]


def make_error(code: str, status: int = 400) -> ClientError:
    """Return the exception for an error that DynamoDB answers."""
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "PutItem")  # type: ignore[typeddict-item]


TIMEOUT = ReadTimeoutError(endpoint_url="")
THROTTLED = make_error("ThrottlingException")
DENIED = make_error("AccessDeniedException")
CONDITION_FAILED = make_error("ConditionalCheckFailedException")
NOT_APPLIED: list[Outcome] = [
    *map(make_error, ["ProvisionedThroughputExceededException", "RequestLimitExceeded", "ThrottlingException"]),
    ConnectTimeoutError(endpoint_url=""),
    EndpointConnectionError(endpoint_url=""),
    ProxyConnectionError(proxy_url=""),
]
UNKNOWN: list[Outcome] = [
    TIMEOUT,
    ConnectionClosedError(endpoint_url=""),
    SSLError(endpoint_url="", error=""),
    make_error("InternalServerError", 500),
    make_error("ServiceUnavailable", 503),
    make_error("301", 301),
    ChecksumError(checksum_type="crc32", expected_checksum="1", actual_checksum="2"),
    ResponseParserError(),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, ""),
    AttributeError(),
    TypeError(),
    {},  # without the consumed capacity
]


def make_operation(outcomes: list[Outcome]) -> Callable[..., dict[str, Any]]:
    """Return an operation whose attempts have these outcomes, the last one repeated."""
    pending = [*outcomes]

    def operation(**_: object) -> dict[str, Any]:
        outcome = pending.pop(0) if len(pending) > 1 else pending[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return operation


def run(clock: Clock, outcomes: list[Outcome], seconds: float = 0) -> tuple[object, int]:
    """Run a call whose attempts take so long. Return its result and the number of its attempts."""
    count, operation = 0, make_operation(outcomes)

    def count_attempt(**parameters: object) -> dict[str, Any]:
        nonlocal count
        assert parameters == {"TableName": "sessions", "ReturnConsumedCapacity": "TOTAL"}
        count += 1
        clock.now += seconds
        return operation()

    try:
        return call(count_attempt, TableName="sessions"), count
    except CallFailedError as error:
        return ("may be applied" if error.may_be_applied else "not applied"), count
    except ClientError as error:
        return error, count


@pytest.mark.parametrize(
    ("outcomes", "result", "count"),
    [
        ([ANSWER], ANSWER, 1),
        ([THROTTLED, ANSWER], ANSWER, 2),
        ([TIMEOUT, TIMEOUT, TIMEOUT, ANSWER], ANSWER, 4),
        ([{}, ANSWER], ANSWER, 2),
        ([DENIED], "not applied", 1),
        ([make_error("ResourceNotFoundException")], "not applied", 1),
        ([THROTTLED, DENIED], "not applied", 2),
        *(([outcome], "not applied", 3) for outcome in NOT_APPLIED),
        *(([outcome], "may be applied", 4) for outcome in UNKNOWN),
        ([TIMEOUT, THROTTLED], "may be applied", 4),
        ([TIMEOUT, DENIED], "may be applied", 4),
        ([THROTTLED, THROTTLED, TIMEOUT, THROTTLED], "may be applied", 4),
        ([CONDITION_FAILED], CONDITION_FAILED, 1),
        ([TIMEOUT, CONDITION_FAILED], CONDITION_FAILED, 2),
        *(([error], error, 1) for error in map(make_error, ["SerializationException", "ValidationException"])),
    ],
)
def test_a_call_retries_as_the_outcomes_of_its_attempts_allow(
    clock: Clock, outcomes: list[Outcome], result: object, count: int
) -> None:
    assert run(clock, outcomes) == (result, count)


@pytest.mark.parametrize(("outcomes", "cause"), [([TIMEOUT, THROTTLED], THROTTLED), ([TIMEOUT, {}], None)])
def test_a_failed_call_names_the_error_of_its_last_attempt(outcomes: list[Outcome], cause: Exception | None) -> None:
    with pytest.raises(CallFailedError) as caught:
        call(make_operation(outcomes))
    assert caught.value.__cause__ is cause


def test_a_call_ends_within_8_seconds(clock: Clock) -> None:
    started = clock.now
    assert run(clock, [TIMEOUT], seconds=client.ATTEMPT_SECONDS) == ("may be applied", 2)
    assert clock.now - started <= client.CALL_SECONDS == 8


def test_a_bug_in_a_call_is_raised_at_once(clock: Clock) -> None:
    with pytest.raises(KeyError):
        run(clock, [KeyError("bug"), ANSWER])


def count_warm_up_reads(outcome: Exception, url: str = "https://dynamodb") -> int:
    """Warm up a client whose reads raise this exception. Return the number of reads."""
    reads: list[object] = []

    def get_item(**key: object) -> None:
        reads.append(key)
        raise outcome

    warm_up(cast("Any", SimpleNamespace(meta=SimpleNamespace(endpoint_url=url), get_item=get_item)), "sessions")
    return len(reads)


@pytest.fixture
def cold_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the variable that Lambda sets during a cold start."""
    monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")


@pytest.mark.usefixtures("cold_start")
def test_a_cold_start_without_dynamodb_goes_on_after_one_attempt() -> None:
    assert count_warm_up_reads(EndpointConnectionError(endpoint_url="")) == 1
    assert count_warm_up_reads(DENIED) == 1


@pytest.mark.usefixtures("cold_start")
def test_a_bug_in_a_cold_start_is_raised() -> None:
    with pytest.raises(KeyError):
        count_warm_up_reads(KeyError("bug"))


@pytest.mark.usefixtures("cold_start")
def test_a_connection_without_tls_needs_no_warm_up() -> None:
    assert count_warm_up_reads(DENIED, url="http://127.0.0.1:1") == 0


def test_only_lambda_warms_up_the_connection() -> None:
    assert count_warm_up_reads(DENIED) == 0
