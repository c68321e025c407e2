"""Clients of AWS: requests and answers, the pauses between attempts, and the retries of a call of DynamoDB."""

import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from botocore import exceptions
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.parsers import ResponseParserError
from botocore.session import get_session

from aws import client
from aws.client import CallFailedError, attempts, call, make_client, warm_up
from aws.wire import to_wire

SESSION = to_wire({"pk": "acme#1", "displayName": 'Zoë 🎧 "quoted" \u2028 <b>', "ended": False, "log": [{}]})
PUT: dict[str, Any] = {
    "TableName": "sessions",
    "Item": SESSION,
    "ConditionExpression": "attribute_not_exists(pk)",
    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
}
REFUSAL = {"__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException", "Item": SESSION}


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
    monkeypatch.setattr("random.uniform", lambda _, high: high)
    monkeypatch.setattr("time.sleep", lambda _: None)  # botocore's own back-off
    return clock


class Body:
    """The body of an HTTP answer, as botocore reads it."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def stream(self) -> Iterator[bytes]:
        yield self.content


def put(
    dynamodb: Any,  # noqa: ANN401 (any client)
    status: int,
    answer: object,
    checksum: str | None = None,
) -> tuple[list[AWSPreparedRequest], Exception]:
    """Put an item with a client that gets this answer for each request. Return its requests and its error."""
    requests: list[AWSPreparedRequest] = []
    headers = HTTPHeaders.from_dict({"x-amz-crc32": checksum} if checksum else {})

    def send(request: AWSPreparedRequest, **_: object) -> AWSResponse:
        requests.append(request)
        return AWSResponse(request.url, status, headers, Body(json.dumps(answer).encode()))

    dynamodb.meta.events.register("before-send.dynamodb", send)
    with pytest.raises((ClientError, exceptions.ChecksumError)) as caught:
        dynamodb.put_item(**PUT)
    return requests, caught.value


def test_a_client_sends_and_reads_the_same_as_botocores_default_client() -> None:
    [request], error = put(make_client("dynamodb"), 400, REFUSAL)
    [default_request], default_error = put(get_session().create_client("dynamodb"), 400, REFUSAL)
    assert json.loads(cast("bytes", request.body)) == json.loads(cast("bytes", default_request.body)) == PUT
    assert (request.method, request.url) == (default_request.method, default_request.url)
    assert set(request.headers) == set(default_request.headers)
    for header in ("X-Amz-Target", "Content-Type"):
        assert request.headers[header] == default_request.headers[header]
    assert isinstance(error, ClientError)
    assert isinstance(default_error, ClientError)
    assert error.response == default_error.response


@pytest.mark.parametrize("number", [1, 3])
def test_a_client_makes_as_many_attempts_as_it_is_told(number: int) -> None:
    requests, error = put(make_client("dynamodb", attempts=number), 500, {})
    assert (len(requests), type(error)) == (number, ClientError)


@pytest.mark.parametrize("number", [1, 3])
def test_a_client_never_returns_an_answer_with_a_wrong_checksum(number: int) -> None:
    requests, error = put(make_client("dynamodb", attempts=number), 200, {}, checksum="1")
    assert (len(requests), type(error)) == (number, exceptions.ChecksumError)


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


TIMEOUT = exceptions.ReadTimeoutError(endpoint_url="")
THROTTLED = make_error("ThrottlingException")
DENIED = make_error("AccessDeniedException")
CONDITION_FAILED = make_error("ConditionalCheckFailedException")
NOT_APPLIED: list[Outcome] = [
    *map(make_error, ["ProvisionedThroughputExceededException", "RequestLimitExceeded", "ThrottlingException"]),
    exceptions.ConnectTimeoutError(endpoint_url=""),
    EndpointConnectionError(endpoint_url=""),
    exceptions.ProxyConnectionError(proxy_url=""),
]
UNKNOWN: list[Outcome] = [
    TIMEOUT,
    exceptions.ConnectionClosedError(endpoint_url=""),
    exceptions.SSLError(endpoint_url="", error=ValueError()),
    make_error("InternalServerError", 500),
    make_error("ServiceUnavailable", 503),
    make_error("301", 301),
    exceptions.ChecksumError(checksum_type="crc32", expected_checksum="1", actual_checksum="2"),
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
    """Run a call whose attempts take this time. Return its result and the number of its attempts."""
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


def test_an_answer_is_believed_by_the_field_that_proves_it_complete() -> None:
    answer: dict[str, Any] = {"UnprocessedKeys": {}}
    assert call(make_operation([{}, ANSWER, answer]), proof="UnprocessedKeys") == answer


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


def test_wrong_parameters_of_a_call_are_a_bug() -> None:
    client = make_client("dynamodb")
    for item in (["not an item"], {"pk": "not in the wire format"}):
        with pytest.raises(AttributeError):
            call(client.put_item, TableName="sessions", Item=item)


@pytest.mark.usefixtures("cold_start")
def test_a_bug_in_a_cold_start_is_raised() -> None:
    with pytest.raises(KeyError):
        count_warm_up_reads(KeyError("bug"))


def test_only_a_cold_start_with_tls_warms_up_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    assert count_warm_up_reads(DENIED) == 0
    monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
    assert count_warm_up_reads(DENIED, url="http://127.0.0.1:1") == 0
