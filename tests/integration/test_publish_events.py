"""From stream records to the event bus: a bus and queues in memory, healthy and failing ones."""

import copy
import io
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
import urllib3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError, EndpointConnectionError
from conftest import CONTEXT, load_event, load_event_schema, make_end, make_event, make_get
from integration.api import measure_item
from jsonschema import Draft202012Validator
from moto import mock_aws
from moto.dynamodb.models.dynamo_type import LimitedSizeDict
from mypy_boto3_dynamodb import DynamoDBClient

from sessions import parsing, publish_events, rules, store
from sessions.handler import handler as handle_request
from sessions.models import CustomerBreadcrumb
from sessions.publish_events import DEAD_LETTERS, EVENT_BUS, NotPublishedError, handler
from sessions.references import Caller, Person, References

type Record = dict[str, Any]
type Receive = Callable[[], list[dict[str, Any]]]

SECRET = "Ada's private line"
POISON = {"eventID": "poison", "eventName": "INSERT", "dynamodb": {"Keys": {"pk": {"S": "x"}}, "NewImage": {"pk": {
    "S": SECRET}}}}  # fmt: skip
THROTTLED = json.dumps({"__type": "ThrottlingException", "message": "slow down"}).encode()


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receive]:
    """A function that returns the events on a bus in memory, in no order. There is a dead-letter queue, too."""
    monkeypatch.setattr("aws.client.time.sleep", lambda _: None)
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
    """Receive and delete all messages of a queue."""
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
    """Return records of different sessions, whose ids count from 0."""
    records = []
    for number in range(count):
        record = copy.deepcopy(load_event("publish-events")["Records"][0])
        record["dynamodb"]["NewImage"]["id"] = {"S": f"{number:032x}"}
        records.append(record)
    return records


def find_ids(events: list[dict[str, Any]]) -> list[int]:
    return sorted(int(event["detail"]["session"]["id"], 16) for event in events)


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[int]]:
    """A function that lets the bus refuse the entry of a session. It returns the sizes of all requests."""

    def refuse(number: int, times: int, code: str = "InternalFailure") -> list[int]:
        put_events, codes, sizes = publish_events.bus.put_events, [code] * times, list[int]()

        def refuse_entry(Entries: list[dict[str, str]]) -> dict[str, Any]:  # noqa: N803
            sizes.append(len(Entries))
            answers: list[Any] = []
            for entry in Entries:
                if codes and int(json.loads(entry["Detail"])["session"]["id"], 16) == number:
                    answers.append({"ErrorCode": codes.pop(), "ErrorMessage": "private"})
                else:
                    answers += put_events(Entries=[entry])["Entries"]  # type: ignore[list-item]
            return {"Entries": answers}

        monkeypatch.setattr(publish_events.bus, "put_events", refuse_entry)
        return sizes

    return refuse


@pytest.fixture
def fail() -> Iterator[Callable[..., None]]:
    """A function that gives the outcomes of the next attempts of PutEvents: an exception, or THROTTLED."""
    outcomes: list[object] = []

    def end(request: AWSPreparedRequest, **_: object) -> Any:  # noqa: ANN401
        outcome = outcomes.pop(0) if outcomes else None
        if isinstance(outcome, Exception):
            raise outcome
        if isinstance(outcome, bytes):
            request.body = b'{"Entries": []}'  # moto handles the request all the same
            raw = urllib3.HTTPResponse(io.BytesIO(outcome), preload_content=False)
            return AWSResponse("https://events.test", 400, HTTPHeaders(), raw)
        return None

    publish_events.bus.meta.events.register_first("before-send.events.PutEvents", end)
    yield lambda *following: outcomes.extend(following)
    publish_events.bus.meta.events.unregister("before-send.events.PutEvents", end)
    assert outcomes == []


def test_each_record_of_the_example_batch_becomes_an_event(heard: Receive) -> None:
    assert handler(load_event("publish-events"), CONTEXT) == {"published": 2, "dead_letters": 0}
    events = heard()
    assert {(event["source"], event["detail-type"]) for event in events} == {("sessions", "SessionCreated")}
    chat, voice = sorted((event["detail"] for event in events), key=lambda detail: detail["startSession"])
    assert voice["startSession"] is True
    assert set(voice) == {"session", "startSession", "eventId"}
    assert voice["eventId"] == "7c9f8a4be2a04c2f8c51d0d1f6a3e9b7-2026-11-22T08:22:44.881Z"
    assert chat["startSession"] is False
    assert chat["withAddress"] == "team:support"
    assert chat["parentSessionId"] == voice["session"]["id"]
    assert chat["session"]["displayName"] == "Zoë"
    schema = Draft202012Validator(load_event_schema("SessionCreated"))
    for detail in (voice, chat):
        schema.validate(detail)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"startSession": True, "displayName": "Zoë 🎧", "channel": "Fax"},
        {"withAddress": "team:support", "customerId": "northwind-paris", "memberEmailAddresses": ["ada@example.com"]},
        {"callState": "Disconnected", "startSession": False},
    ],
)
def test_an_event_contains_the_session_as_the_api_replied_it(
    directory: DynamoDBClient, heard: Receive, body: dict[str, Any]
) -> None:
    reply = json.loads(handle_request(make_event(body), CONTEXT)["body"])
    (item,) = directory.scan(TableName="sessions")["Items"]
    handler({"Records": [{"dynamodb": {"NewImage": item}}]}, CONTEXT)
    (event,) = heard()
    assert event["detail"]["session"] == reply
    assert list(event["detail"]["session"]) == list(reply)
    assert event["detail"]["startSession"] is body.get("startSession", False)


def test_a_repeated_record_has_the_same_event_id(heard: Receive) -> None:
    for _ in range(2):
        handler(load_event("publish-events"), CONTEXT)
        handler(load_event("publish-events-end"), CONTEXT)
    assert len({event["detail"]["eventId"] for event in heard()}) == 3


def test_the_example_of_an_end_becomes_an_event(heard: Receive) -> None:
    handler(load_event("publish-events-end"), CONTEXT)
    [event] = heard()
    detail = event["detail"]
    assert (event["source"], event["detail-type"]) == ("sessions", "SessionEnded")
    assert (detail["startSession"], detail["endedBy"]) == (True, "bob")
    assert detail["eventId"] == "7c9f8a4be2a04c2f8c51d0d1f6a3e9b7-ended-2026-11-22T08:31:07.210Z"
    Draft202012Validator(load_event_schema("SessionEnded")).validate(detail)


def make_change(old: dict[str, Any], new: dict[str, Any]) -> Record:
    """Return the stream record of a changed item."""
    return {"eventName": "MODIFY", "dynamodb": {"OldImage": old, "NewImage": new}}


@pytest.mark.parametrize(
    "body", [{"startSession": True, "displayName": "Zoë 🎧"}, {"withAddress": "team:support", "channel": "Chat"}]
)
def test_an_end_is_published_with_the_session_as_stored_and_who_ended_it(
    directory: DynamoDBClient, heard: Receive, body: dict[str, Any]
) -> None:
    session = json.loads(handle_request(make_event(body), CONTEXT)["body"])
    [old] = directory.scan(TableName="sessions")["Items"]
    handle_request(make_end(session["id"], user_id="bob"), CONTEXT)
    [new] = directory.scan(TableName="sessions")["Items"]
    assert handler({"Records": [make_change(old, new)]}, CONTEXT) == {"published": 1, "dead_letters": 0}
    [event] = heard()
    assert event["detail-type"] == "SessionEnded"
    assert event["detail"]["session"] == json.loads(handle_request(make_get(session["id"]), CONTEXT)["body"])
    assert (event["detail"]["startSession"], event["detail"]["endedBy"]) == (body.get("startSession", False), "bob")
    assert event["detail"].get("withAddress") == body.get("withAddress")


def test_no_other_change_is_published(heard: Receive) -> None:
    [end] = load_event("publish-events-end")["Records"]
    old, new = end["dynamodb"]["OldImage"], end["dynamodb"]["NewImage"]
    records = [make_change(old, old | {"outcome": {"S": "x"}}), make_change(new, new | {"outcome": {"S": "x"}})]
    assert handler({"Records": records}, CONTEXT) == {"published": 0, "dead_letters": 0}
    assert heard() == []


def test_a_request_to_the_bus_has_at_most_10_events(heard: Receive, refuse: Callable[..., list[int]]) -> None:
    sizes = refuse(0, times=0)
    assert handler({"Records": make_records(25)}, CONTEXT) == {"published": 25, "dead_letters": 0}
    assert sizes == [10, 10, 5]
    assert find_ids(heard()) == list(range(25))


def test_a_request_to_the_bus_has_at_most_1_mb(heard: Receive, refuse: Callable[..., list[int]]) -> None:
    records = make_records(5)
    for record in records:
        record["dynamodb"]["NewImage"]["consoleData"] = {"S": "é" * 150_000}
    sizes = refuse(0, times=0)
    handler({"Records": records}, CONTEXT)
    assert sizes == [3, 2]
    assert find_ids(heard()) == list(range(5))


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda record, _: record.pop("dynamodb"), id="without an image"),
        pytest.param(lambda _, image: image.clear(), id="empty"),
        pytest.param(lambda _, image: image.pop("id"), id="without an id"),
        pytest.param(lambda _, image: image.pop("members"), id="without members"),
        pytest.param(lambda _, image: image.update(channel={"S": SECRET}), id="unknown channel"),
        pytest.param(lambda _, image: image.update(startSession={"S": SECRET}), id="text as a boolean"),
        pytest.param(lambda _, image: image.update(log={"X": SECRET}), id="unknown type"),
        pytest.param(lambda _, image: image.update(displayName=SECRET), id="without a type"),
        pytest.param(lambda _, image: image.update(consoleData={"S": "x" * 1_000_000}), id="larger than an event"),
    ],
)
def test_a_record_that_is_not_a_session_becomes_a_dead_letter_and_blocks_no_other(
    heard: Receive, logged: list[dict[str, Any]], spoil: Callable[[Record, dict[str, Any]], object]
) -> None:
    records = make_records(12)
    spoil(records[5], records[5]["dynamodb"]["NewImage"])
    assert handler({"Records": records}, CONTEXT) == {"published": 11, "dead_letters": 1}
    assert find_ids(heard()) == [0, 1, 2, 3, 4, *range(6, 12)]
    assert dead_letters() == [records[5]]
    assert [line["message"] for line in logged] == ["The record cannot be published", "Published"]
    assert SECRET not in str(logged)


@pytest.mark.parametrize("name", ["publish-events", "publish-events-end"])
def test_a_record_too_large_for_a_message_keeps_its_key(heard: Receive, name: str) -> None:
    record = load_event(name)["Records"][0]
    record["dynamodb"]["NewImage"]["consoleData"] = {"S": "\x01" * 200_000}
    assert handler({"Records": [record]}, CONTEXT) == {"published": 0, "dead_letters": 1}
    assert heard() == []
    record["dynamodb"] = {key: value for key, value in record["dynamodb"].items() if not key.endswith("Image")}
    assert dead_letters() == [record]


@pytest.mark.parametrize("code", ["InternalFailure", "ThrottlingException"])
@pytest.mark.parametrize("times", [1, 2, 3])
def test_only_the_refused_event_is_retried(
    heard: Receive, refuse: Callable[..., list[int]], code: str, times: int
) -> None:
    sizes = refuse(3, times=times, code=code)
    assert handler({"Records": make_records(10)}, CONTEXT) == {"published": 10, "dead_letters": 0}
    assert sizes == [10] + [1] * times
    assert find_ids(heard()) == list(range(10))


def test_a_batch_with_a_refused_event_fails_after_all_others_are_published(
    heard: Receive, refuse: Callable[..., list[int]]
) -> None:
    sizes = refuse(3, times=100)
    with pytest.raises(NotPublishedError, match=r"^1 of 15 events: InternalFailure$"):
        handler({"Records": [*make_records(15), POISON]}, CONTEXT)
    assert sizes == [10, 1, 1, 1, 5]
    assert find_ids(heard()) == [number for number in range(15) if number != 3]
    assert dead_letters() == []  # POISON returns with the retried batch, and becomes a dead letter then


def test_a_throttled_request_to_the_bus_is_retried(heard: Receive, fail: Callable[..., None]) -> None:
    fail(THROTTLED, THROTTLED)
    handler({"Records": make_records(10)}, CONTEXT)
    assert find_ids(heard()) == list(range(10))


@pytest.mark.parametrize(
    ("outcome", "error"),
    [
        (THROTTLED, ClientError),
        (EndpointConnectionError(endpoint_url="https://events.test"), EndpointConnectionError),
    ],
    ids=["throttled", "unreachable"],
)
def test_a_batch_fails_without_the_bus_and_is_published_when_it_returns(
    heard: Receive,
    fail: Callable[..., None],
    outcome: object,
    error: type[Exception],
) -> None:
    batch = {"Records": [POISON, *make_records(20)]}
    fail(outcome, outcome, outcome)
    with pytest.raises(error):
        handler(batch, CONTEXT)
    assert (heard(), dead_letters()) == ([], [])
    assert handler(batch, CONTEXT) == {"published": 20, "dead_letters": 1}
    assert find_ids(heard()) == list(range(20))
    assert dead_letters() == [POISON]


def test_a_batch_fails_if_its_dead_letters_cannot_be_sent(heard: Receive) -> None:
    boto3.client("sqs").delete_queue(QueueUrl=DEAD_LETTERS)
    with pytest.raises(ClientError, match="NonExistentQueue"):
        handler({"Records": [POISON, *make_records(1)]}, CONTEXT)
    assert find_ids(heard()) == [0]


# ---------------------------------------------------------------------------------------------------------------- sizes

WIDE = "🎧"  # 4 bytes in UTF-8, more than any other character within the limits


def test_the_largest_session_and_its_end_fit_the_table_the_bus_and_the_queue(
    dynamodb: DynamoDBClient, heard: Receive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each field is as long as its own limit allows. An import also limits the ids and names of a user together."""
    people = [
        Person(f"{number:02}" + WIDE * 126, WIDE * 256, WIDE * 128, "https://" + "a" * 2040) for number in range(50)
    ]
    creator = people[0]
    email = "e" * 242 + "@example.com"
    addresses = {f"{number:02}" + email[2:]: person for number, person in enumerate(people)}
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
        "memberEmailAddresses": [*addresses, *[address.upper() for address in addresses][:45]],
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
    references = References(
        customer=tuple(CustomerBreadcrumb(id=WIDE * 128, name=WIDE * 256) for _ in range(50)),
        has_parent=True,
        has_caller_id=True,
        correspondents=tuple(people[:49]),  # the creator has a picture only if the request refers to the creator
        people=addresses,
    )
    assert errors + rules.check(request, caller, references) == []
    session = rules.new_session(request, caller, references, "f" * 32, datetime(2026, 11, 22, tzinfo=UTC))
    assert [len(member.avatar_url or "") for member in session.members] == [2048] * 50
    store.put_session(session, request, "0" * 64)

    [item] = dynamodb.scan(TableName="sessions")["Items"]
    set_attribute = LimitedSizeDict.__setitem__

    def replace_attribute(attributes: LimitedSizeDict, name: str, value: object) -> None:
        attributes.pop(name, None)  # moto would count the old value and the new one, and refuse the update
        set_attribute(attributes, name, value)

    monkeypatch.setattr(LimitedSizeDict, "__setitem__", replace_attribute)
    assert handle_request(make_end(session.id, **caller._asdict()), CONTEXT)["statusCode"] == 204
    [ended] = dynamodb.scan(TableName="sessions")["Items"]
    assert ended["ended"] == {"BOOL": True}
    for record in ({"dynamodb": {"NewImage": item}}, make_change(item, ended)):
        assert 327_000 < measure_item(record["dynamodb"]["NewImage"]) < 330_000 < 400 * 1024
        [event] = publish_events.make_events(record)
        assert 305_000 < publish_events.count_bytes(event) < 308_000 < publish_events.REQUEST_MAX  # docs/operations.md
        # even if EventBridge escapes every character
        assert len(json.dumps(json.loads(event.detail))) < publish_events.MESSAGE_MAX
        assert handler({"Records": [record]}, CONTEXT) == {"published": 1, "dead_letters": 0}
        [received] = heard()
        assert (received["detail-type"], received["detail"]) == (event.detail_type, json.loads(event.detail))
