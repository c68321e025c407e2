"""From stream records to the event bus, with a bus and queues in memory, and with ones that fail."""

import copy
import io
import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
import urllib3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError, EndpointConnectionError
from conftest import CONTEXT, load_event, make_event
from jsonschema import Draft202012Validator
from moto import mock_aws
from mypy_boto3_dynamodb import DynamoDBClient

import events
from sessions import binding, publish_events, rules, store
from sessions.handler import handler as create_session
from sessions.models import CustomerBreadcrumb
from sessions.publish_events import DEAD_LETTERS, EVENT_BUS, NotPublishedError, handler
from sessions.references import Caller, Person, References

type Record = dict[str, Any]

SECRET = "Ada's private line"
POISON = {"eventID": "poison", "eventName": "INSERT", "dynamodb": {"Keys": {"pk": {"S": "x"}}, "NewImage": {"pk": {
    "S": SECRET}}}}  # fmt: skip
THROTTLED = json.dumps({"__type": "ThrottlingException", "message": "slow down"}).encode()


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """A bus and the queue of dead letters in memory; to call for the events that the bus got, in no order."""
    monkeypatch.setattr("sessions.publish_events.time.sleep", lambda _: None)
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    with mock_aws():
        bus, sqs = boto3.client("events"), boto3.client("sqs")
        assert sqs.create_queue(QueueName="dead-letters")["QueueUrl"] == DEAD_LETTERS
        queue = sqs.create_queue(QueueName="heard")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        bus.create_event_bus(Name=EVENT_BUS)
        bus.put_rule(Name="all", EventBusName=EVENT_BUS, EventPattern='{"source": ["sessions"]}')
        bus.put_targets(Rule="all", EventBusName=EVENT_BUS, Targets=[{"Id": "heard", "Arn": arn}])
        yield lambda: receive(queue)


def receive(queue: str) -> list[dict[str, Any]]:
    """The messages of a queue, which are deleted."""
    bodies = []
    sqs = boto3.client("sqs")
    while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            bodies.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return bodies


def dead_letters() -> list[dict[str, Any]]:
    return receive(DEAD_LETTERS)


def make_records(count: int) -> list[Record]:
    """Records of so many sessions, each with an id and a name of its own."""
    records = []
    for number in range(count):
        record = copy.deepcopy(load_event("publish-events")["Records"][0])
        record["dynamodb"]["NewImage"]["id"] = {"S": f"{number:032x}"}
        records.append(record)
    return records


def ids(published: list[dict[str, Any]]) -> list[int]:
    return sorted(int(event["detail"]["session"]["id"], 16) for event in published)


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[int]]:
    """Let the bus refuse the entry of a session so many times; returns the sizes of all requests."""

    def refuse(number: int, times: int, code: str = "InternalFailure") -> list[int]:
        put_events, left, sizes = publish_events.events.put_events, [code] * times, list[int]()

        def take_the_others(Entries: list[dict[str, str]]) -> dict[str, Any]:  # noqa: N803
            sizes.append(len(Entries))
            answers: list[Any] = []
            for entry in Entries:
                if left and int(json.loads(entry["Detail"])["session"]["id"], 16) == number:
                    answers.append({"ErrorCode": left.pop(), "ErrorMessage": "private"})
                else:
                    answers += put_events(Entries=[entry])["Entries"]  # type: ignore[list-item]
            return {"Entries": answers}

        monkeypatch.setattr(publish_events.events, "put_events", take_the_others)
        return sizes

    return refuse


@pytest.fixture
def fail() -> Iterator[Callable[..., None]]:
    """Let the next attempts of PutEvents end with these, one by one: an exception, or THROTTLED."""
    endings: list[object] = []

    def end(request: AWSPreparedRequest, **_: object) -> Any:  # noqa: ANN401
        ending = endings.pop(0) if endings else None
        if isinstance(ending, Exception):
            raise ending
        if isinstance(ending, bytes):
            request.body = b'{"Entries": []}'  # moto sees the request all the same
            raw = urllib3.HTTPResponse(io.BytesIO(ending), preload_content=False)
            return AWSResponse("https://events.test", 400, HTTPHeaders(), raw)
        return None

    publish_events.events.meta.events.register_first("before-send.events.PutEvents", end)
    yield lambda *following: endings.extend(following)
    publish_events.events.meta.events.unregister("before-send.events.PutEvents", end)
    assert endings == []


def test_the_batch_of_the_documentation_is_announced(heard: Callable[[], list[dict[str, Any]]]) -> None:
    assert handler(load_event("publish-events"), CONTEXT) == {"published": 2, "dead_letters": 0}
    chat, voice = sorted((event["detail"] for event in heard()), key=lambda detail: detail["startSession"])
    assert voice["startSession"] is True
    assert set(voice) == {"session", "startSession", "eventId"}
    assert voice["eventId"] == "7c9f8a4be2a04c2f8c51d0d1f6a3e9b7-2026-11-22T08:22:44.881Z"
    assert chat["startSession"] is False
    assert chat["withAddress"] == "team:support"
    assert chat["parentSessionId"] == voice["session"]["id"]
    assert chat["session"]["displayName"] == "Zoë"
    for detail in (voice, chat):
        Draft202012Validator(events.make_document()).validate(detail)


def test_an_event_has_the_source_and_the_type_that_rules_match(heard: Callable[[], list[dict[str, Any]]]) -> None:
    handler({"Records": make_records(1)}, CONTEXT)
    (event,) = heard()
    assert (event["source"], event["detail-type"]) == ("sessions", "SessionCreated")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"startSession": True, "displayName": "Zoë 🎧", "channel": "Fax"},
        {"withAddress": "team:support", "customerId": "northwind-paris", "memberEmailAddresses": ["ada@example.com"]},
        {"callState": "Disconnected", "startSession": False},
    ],
)
def test_what_is_announced_is_what_the_api_replied(
    directory: DynamoDBClient, heard: Callable[[], list[dict[str, Any]]], body: dict[str, Any]
) -> None:
    reply = json.loads(create_session(make_event(body), CONTEXT)["body"])
    (item,) = directory.scan(TableName="sessions")["Items"]
    handler({"Records": [{"dynamodb": {"NewImage": item}}]}, CONTEXT)
    (event,) = heard()
    assert event["detail"]["session"] == reply
    assert list(event["detail"]["session"]) == list(reply)
    assert event["detail"]["startSession"] is body.get("startSession", False)


def test_a_record_that_comes_again_has_the_same_event_id(heard: Callable[[], list[dict[str, Any]]]) -> None:
    for _ in range(2):
        handler(load_event("publish-events"), CONTEXT)
    assert len({event["detail"]["eventId"] for event in heard()}) == 2


def test_a_batch_goes_in_tens(heard: Callable[[], list[dict[str, Any]]], refuse: Callable[..., list[int]]) -> None:
    sizes = refuse(0, times=0)
    assert handler({"Records": make_records(25)}, CONTEXT) == {"published": 25, "dead_letters": 0}
    assert sizes == [10, 10, 5]
    assert ids(heard()) == list(range(25))


def test_large_sessions_go_in_requests_that_the_bus_takes(
    heard: Callable[[], list[dict[str, Any]]], refuse: Callable[..., list[int]]
) -> None:
    records = make_records(5)
    for record in records:
        record["dynamodb"]["NewImage"]["consoleData"] = {"S": "é" * 150_000}
    sizes = refuse(0, times=0)
    handler({"Records": records}, CONTEXT)
    assert sizes == [3, 2]
    assert ids(heard()) == list(range(5))


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda image: image.clear(), id="empty"),
        pytest.param(lambda image: image.pop("id"), id="without an id"),
        pytest.param(lambda image: image.pop("members"), id="without members"),
        pytest.param(lambda image: image.update(channel={"S": SECRET}), id="with another channel"),
        pytest.param(lambda image: image.update(startSession={"S": SECRET}), id="with a flag that is none"),
        pytest.param(lambda image: image.update(log={"X": SECRET}), id="with a type that is none"),
        pytest.param(lambda image: image.update(displayName=SECRET), id="without a type"),
        pytest.param(lambda image: image.update(consoleData={"S": "x" * 1_000_000}), id="larger than an event"),
    ],
)
def test_a_record_that_is_no_session_is_kept_whole_and_the_others_are_announced(
    heard: Callable[[], list[dict[str, Any]]],
    spoil: Callable[[dict[str, Any]], object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = record_logs(monkeypatch)
    records = make_records(12)
    spoil(records[5]["dynamodb"]["NewImage"])
    assert handler({"Records": records}, CONTEXT) == {"published": 11, "dead_letters": 1}
    assert ids(heard()) == [0, 1, 2, 3, 4, *range(6, 12)]
    assert dead_letters() == [records[5]]
    assert [line.split('"message":"')[1].split('"')[0] for line in lines] == ["not a session", "OK"]
    assert SECRET not in str(lines)


def record_logs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The log's lines, as they are written."""
    lines: list[str] = []
    for log_handler in logging.getLogger("sessions").handlers:
        monkeypatch.setattr(log_handler, "emit", lambda record, log=log_handler: lines.append(log.format(record)))
    return lines


def test_a_record_without_an_image_does_not_hold_up_the_others(heard: Callable[[], list[dict[str, Any]]]) -> None:
    assert handler({"Records": [{"eventName": "INSERT"}, *make_records(1)]}, CONTEXT)["dead_letters"] == 1
    assert ids(heard()) == [0]
    assert dead_letters() == [{"eventName": "INSERT"}]


def test_a_dead_letter_that_no_message_holds_keeps_the_key_of_its_session(
    heard: Callable[[], list[dict[str, Any]]],
) -> None:
    (record,) = make_records(1)
    record["dynamodb"]["NewImage"]["consoleData"] = {"S": "\x01" * 200_000}
    assert handler({"Records": [record]}, CONTEXT) == {"published": 0, "dead_letters": 1}
    assert heard() == []
    del record["dynamodb"]["NewImage"]
    assert dead_letters() == [record]


@pytest.mark.parametrize("code", ["InternalFailure", "ThrottlingException"])
@pytest.mark.parametrize("times", [1, 2, 3])
def test_an_entry_that_the_bus_refuses_for_a_while_is_sent_again_alone(
    heard: Callable[[], list[dict[str, Any]]], refuse: Callable[..., list[int]], code: str, times: int
) -> None:
    sizes = refuse(3, times=times, code=code)
    assert handler({"Records": make_records(10)}, CONTEXT) == {"published": 10, "dead_letters": 0}
    assert sizes == [10] + [1] * times
    assert ids(heard()) == list(range(10))


def test_an_entry_that_the_bus_never_takes_raises_once_all_others_are_on_it(
    heard: Callable[[], list[dict[str, Any]]], refuse: Callable[..., list[int]]
) -> None:
    sizes = refuse(3, times=100)
    with pytest.raises(NotPublishedError, match=r"^1 of 15 events: InternalFailure$"):
        handler({"Records": [*make_records(15), POISON]}, CONTEXT)
    assert sizes == [10, 1, 1, 1, 5]
    assert ids(heard()) == [number for number in range(15) if number != 3]
    assert dead_letters() == []  # the poison comes again with the batch, and is a dead letter then


def test_a_throttled_call_is_repeated(heard: Callable[[], list[dict[str, Any]]], fail: Callable[..., None]) -> None:
    fail(THROTTLED, THROTTLED)
    handler({"Records": make_records(10)}, CONTEXT)
    assert ids(heard()) == list(range(10))


@pytest.mark.parametrize(
    ("ending", "error"),
    [
        (THROTTLED, ClientError),
        (EndpointConnectionError(endpoint_url="https://events.test"), EndpointConnectionError),
    ],
    ids=["throttled", "away"],
)
def test_a_bus_that_is_away_raises_and_the_batch_is_announced_once_it_is_back(
    heard: Callable[[], list[dict[str, Any]]],
    fail: Callable[..., None],
    ending: object,
    error: type[Exception],
) -> None:
    batch = {"Records": [POISON, *make_records(20)]}
    fail(ending, ending, ending)
    with pytest.raises(error):
        handler(batch, CONTEXT)
    assert (heard(), dead_letters()) == ([], [])
    assert handler(batch, CONTEXT) == {"published": 20, "dead_letters": 1}
    assert ids(heard()) == list(range(20))
    assert dead_letters() == [POISON]


def test_dead_letters_that_cannot_be_sent_raise(heard: Callable[[], list[dict[str, Any]]]) -> None:
    boto3.client("sqs").delete_queue(QueueUrl=DEAD_LETTERS)
    with pytest.raises(ClientError, match="NonExistentQueue"):
        handler({"Records": [POISON, *make_records(1)]}, CONTEXT)
    assert ids(heard()) == [0]


# ---------------------------------------------------------------------------------------------------------------- sizes

WIDE = "🎧"  # 4 bytes in UTF-8, the most that a character of the limits can take


def measure_item(value: dict[str, Any]) -> int:
    """The bytes that DynamoDB counts for a value, and for a map with its names, as an item is."""
    ((kind, content),) = value.items()
    if kind == "S":
        return len(content.encode())
    if kind == "L":
        return 3 + sum(1 + measure_item(each) for each in content)
    if kind == "M":
        return 3 + sum(1 + len(name.encode()) + measure_item(each) for name, each in content.items())
    return 1


def test_the_largest_session_fits_the_table_the_bus_and_the_queue(
    dynamodb: DynamoDBClient, heard: Callable[[], list[dict[str, Any]]]
) -> None:
    people = [
        Person(f"{number:02}" + WIDE * 126, WIDE * 256, WIDE * 128, "https://" + "a" * 2040) for number in range(50)
    ]
    creator, *team = people
    email = "e" * 242 + "@example.com"
    addresses = {f"{number:02}" + email[2:]: person for number, person in enumerate(team)}
    body = {
        "displayName": WIDE * 256,
        "fromAddress": WIDE * 320,
        "fromName": WIDE * 256,
        "toAddress": WIDE * 320,
        "customerId": WIDE * 128,
        "parentSessionId": "0" * 32,
        "withAddress": "team:" + WIDE * 128,
        "fromPhoneNumber": "+" + "1" * 15,
        "destination": WIDE * 512,
        "memberEmailAddresses": [*addresses, *[address.upper() for address in addresses][:46]],
        "startSession": True,
    }
    request, errors = parsing.parse_request(parsing.read_body(make_event(json.dumps(body, ensure_ascii=False))))
    caller = Caller(
        user_id=creator.user_id,
        account_id=WIDE * 128,
        account_name=WIDE * 256,
        name=creator.name,
        email=email,
        endpoint_id=creator.endpoint_id,
        endpoint_name=WIDE * 256,
    )
    found = References(
        customer=tuple(CustomerBreadcrumb(id=WIDE * 128, name=WIDE * 256) for _ in range(50)),
        has_parent=True,
        has_caller_id=True,
        correspondents=tuple(team),
        people=addresses,
    )
    assert errors + rules.check(request, caller, found) == []
    session = rules.new_session(request, caller, found, "f" * 32, datetime(2026, 11, 22, tzinfo=UTC))
    assert len(session.members) == 50
    store.put_session(session, request, "0" * 64, "x" * 16 + "=", CONTEXT.get_remaining_time_in_millis)

    (item,) = dynamodb.scan(TableName="sessions")["Items"]
    size = measure_item({"M": item})
    detail = publish_events.make_detail({"dynamodb": {"NewImage": item}})
    assert 320_000 < size < 400 * 1024
    assert 300_000 < publish_events.measure(detail) < publish_events.REQUEST_MAX
    assert len(json.dumps(json.loads(detail))) < publish_events.MESSAGE_MAX  # even if EventBridge escapes all of it
    assert handler({"Records": [{"dynamodb": {"NewImage": item}}]}, CONTEXT) == {"published": 1, "dead_letters": 0}
    (event,) = heard()
    assert event["detail"] == json.loads(detail)
