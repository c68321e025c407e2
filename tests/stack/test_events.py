"""Events of sessions that clients create and end, on the bus and in the queue of the flow engine; and their replay."""

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from conftest import load_event_schema
from jsonschema import Draft202012Validator
from stack.conftest import Stack, command, run

SECONDS = 60  # timeout of an event; a warm function needs less than one

type Message = dict[str, Any]


@dataclass
class Queue:
    """A queue of the stack. `messages` are those that were received, and deleted, so far."""

    sqs: Any
    url: str
    messages: list[Message] = field(default_factory=list)

    def send(self, body: object) -> None:
        self.sqs.send_message(QueueUrl=self.url, MessageBody=json.dumps(body))

    def wait(self, done: Callable[[list[Message]], object]) -> list[Message]:
        """Receive until `done`, and return all messages so far."""
        deadline = time.monotonic() + SECONDS
        while not done(self.messages):
            assert time.monotonic() < deadline, f"{len(self.messages)} messages received"
            self.receive(wait=1)
        return self.messages

    def receive(self, wait: int = 0) -> list[Message]:
        """Receive until the queue is empty, and return all messages so far."""
        while received := self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10, WaitTimeSeconds=wait).get(
            "Messages"
        ):
            for message in received:
                self.messages.append(json.loads(message["Body"]))
                self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return self.messages


@pytest.fixture
def queue(stack: Stack) -> Callable[[str], Queue]:
    """A function that returns a queue of the template, without the messages of earlier tests."""

    def find(logical_id: str) -> Queue:
        resource = stack.client("cloudformation").describe_stack_resource(
            StackName="sessions", LogicalResourceId=logical_id
        )
        found = Queue(stack.client("sqs"), resource["StackResourceDetail"]["PhysicalResourceId"])
        found.receive()
        found.messages.clear()
        return found

    return find


@pytest.fixture
def heard(stack: Stack, token: str) -> Iterator[Queue]:
    """A queue of all events, except those of earlier tests."""
    sqs, events, bus = stack.client("sqs"), stack.client("events"), stack.outputs()["EventBusName"]
    url = sqs.create_queue(QueueName="heard")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="heard", EventBusName=bus, EventPattern='{"source": ["sessions"]}')
    events.put_targets(Rule="heard", EventBusName=bus, Targets=[{"Id": "heard", "Arn": arn}])
    try:
        queue = Queue(sqs, url)
        last = stack.post({}, token).json()
        queue.wait(lambda messages: last in read_sessions(messages))
        queue.messages.clear()
        yield queue
    finally:
        events.remove_targets(Rule="heard", EventBusName=bus, Ids=["heard"])
        events.delete_rule(Name="heard", EventBusName=bus)
        sqs.delete_queue(QueueUrl=url)


def read_sessions(messages: list[Message]) -> list[Message]:
    """Return the sessions of events."""
    return [message["detail"]["session"] for message in messages]


def replay(stack: Stack, letters: str) -> str:
    """Run `make replay`, and return its output."""
    done = run(stack.state, "replay", "--letters", letters)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def make_record(stack: Stack, session: Message) -> Message:
    """Return the stream record of a new session."""
    key = {"pk": {"S": f"{session['accountId']}#{session['id']}"}}
    item = stack.client("dynamodb").get_item(TableName=stack.outputs()["SessionsTableName"], Key=key)["Item"]
    return {"eventID": "1", "eventName": "INSERT", "dynamodb": {"Keys": key, "NewImage": item}}


def test_200_concurrent_creates_become_events_and_start_their_flows(
    stack: Stack, token: str, heard: Queue, queue: Callable[[str], Queue]
) -> None:
    flow_starts = queue("FlowStartQueue")
    bodies = [{"displayName": f"Zoë {number}", "startSession": number % 4 == 0} for number in range(200)]
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda body: stack.post(body, token), bodies))
    assert {reply.status for reply in replies} == {200}
    replied = {reply.json()["id"]: reply.json() for reply in replies}
    assert len(replied) == 200

    events = heard.wait(lambda messages: len(messages) >= 200)
    queued = flow_starts.wait(lambda messages: len(messages) >= 50)
    assert {session["id"]: session for session in read_sessions(events)} == replied
    assert len({event["detail"]["eventId"] for event in events}) == len(events) == 200
    started = {session_id for session_id, session in replied.items() if session["dialState"] == "Active"}
    assert [detail["startSession"] for detail in queued] == [True] * 50
    assert {detail["session"]["id"]: detail["session"] for detail in queued} == {key: replied[key] for key in started}
    schema = Draft202012Validator(load_event_schema("SessionCreated"))
    for detail in queued:
        schema.validate(detail)


def end(stack: Stack, session: Message, token: str) -> int:
    """End a session, and return the status."""
    return stack.send("DELETE", f"/sessions/{session['id']}", token=token).status


def find_ends(messages: list[Message]) -> list[Message]:
    """Return the events SessionEnded."""
    return [message for message in messages if message.get("detail-type") == "SessionEnded"]


def test_50_concurrent_ends_become_one_event_and_one_message_to_the_flow_engine(
    stack: Stack, token: str, heard: Queue, queue: Callable[[str], Queue]
) -> None:
    messages = queue("FlowStartQueue")
    quiet, started, over = (
        stack.post(body, token).json() for body in ({}, {"startSession": True}, {"callState": "Disconnected"})
    )
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: end(stack, started, token), range(50))) == {204}
    assert (end(stack, over, token), end(stack, quiet, token)) == (204, 204)

    ended = stack.get(started["id"], token).json()
    assert [entry["message"] for entry in ended["log"]].count("Session ended by Ada Lovelace") == 1
    last = stack.post({}, token).json()
    events = heard.wait(lambda events: last in read_sessions(events) and len(events) >= 6)
    by_session = {event["detail"]["session"]["id"]: event for event in find_ends(events)}
    assert (len(events), set(by_session)) == (6, {started["id"], quiet["id"]})
    event = by_session[started["id"]]
    assert (event["detail"]["session"], event["detail"]["endedBy"]) == (ended, "ada")
    Draft202012Validator(load_event_schema("SessionEnded")).validate(event["detail"])

    [message] = find_ends(messages.wait(find_ends))
    assert message["detail"] == event["detail"]
    assert [detail["session"]["id"] for detail in messages.messages if "detail-type" not in detail] == [started["id"]]


def test_a_refused_request_has_no_event(stack: Stack, token: str, heard: Queue) -> None:
    refused = [
        stack.post({"channel": "Telex"}, token),
        stack.post({"startSession": True, "callState": "Disconnected"}, token),
        stack.post({"startSession": True, "customerId": "initech"}, token),
        stack.post({"startSession": True, "displayName": "x" * 70_000}, token),
        stack.post({"startSession": True}, "none"),
        stack.post({"startSession": True}),
    ]
    assert [reply.status for reply in refused] == [400, 400, 400, 413, 401, 401]
    after = stack.post({}, token).json()
    assert read_sessions(heard.wait(bool)) == [after]


def test_a_record_that_is_not_a_session_becomes_a_dead_letter_and_blocks_no_other(
    stack: Stack, token: str, heard: Queue, queue: Callable[[str], Queue]
) -> None:
    dead_letters = queue("PublishDeadLetters")
    stack.table("SessionsTableName").put_item(Item={"pk": "acme#poison", "note": "by hand"})
    after = stack.post({}, token).json()
    assert read_sessions(heard.wait(bool)) == [after]
    (letter,) = dead_letters.wait(bool)
    assert letter["eventName"] == "INSERT"
    assert letter["dynamodb"]["NewImage"] == {"pk": {"S": "acme#poison"}, "note": {"S": "by hand"}}

    dead_letters.send(letter)
    assert replay(stack, "publish") == "1 letters: 0 sessions were published, 1 records are dead letters again."
    assert dead_letters.wait(lambda messages: len(messages) == 2) == [letter, letter]
    assert replay(stack, "publish").startswith("0 letters")


def test_no_event_is_lost_while_the_bus_refuses_them(
    stack: Stack, token: str, heard: Queue, queue: Callable[[str], Queue]
) -> None:
    dead_letters = queue("PublishDeadLetters")
    iam, role = stack.client("iam"), stack.function("PublishEventsFunction")["Role"].rpartition("/")[2]
    policy = {"RoleName": role, "PolicyName": "publish-events"}
    allowed = iam.get_role_policy(**policy)["PolicyDocument"]
    without_bus = [each for each in allowed["Statement"] if each["Action"] != "events:PutEvents"]
    iam.put_role_policy(**policy, PolicyDocument=json.dumps(allowed | {"Statement": without_bus}))
    try:
        created = [stack.post({"displayName": f"Zoë {number}"}, token).json() for number in range(5)]
        deadline = time.monotonic() + SECONDS
        while "FAILED" not in read_last_result(stack):
            assert time.monotonic() < deadline
            assert heard.receive(wait=1) == []
    finally:
        iam.put_role_policy(**policy, PolicyDocument=json.dumps(allowed))
    published = read_sessions(heard.wait(lambda messages: len(messages) >= 5))
    assert sorted(published, key=created.index) == created
    assert dead_letters.receive() == []


def read_last_result(stack: Stack) -> str:
    """Return the result of the last batch of the stream."""
    (mapping,) = stack.client("lambda").list_event_source_mappings()["EventSourceMappings"]
    return str(mapping["LastProcessingResult"])


def test_dead_letters_of_publish_events_can_be_replayed(
    stack: Stack, token: str, heard: Queue, queue: Callable[[str], Queue]
) -> None:
    dead_letters = queue("PublishDeadLetters")
    session = stack.post({"displayName": "Zoë"}, token).json()
    (first,) = heard.wait(bool)
    record = make_record(stack, session)
    without_image = record | {"dynamodb": {"Keys": record["dynamodb"]["Keys"]}}
    arrival = datetime.fromisoformat(session["dateCreated"]).replace(microsecond=0)
    too_old = {
        "requestContext": {"condition": "MaxRecordAgeExceeded"},
        "DDBStreamBatchInfo": {
            "shardId": "shardId-00000001573689847184-864758bb",
            "startSequenceNumber": "800000000003126276362",
            "approximateArrivalOfFirstRecord": f"{arrival:%Y-%m-%dT%H:%M:%SZ}",
            "approximateArrivalOfLastRecord": f"{arrival + timedelta(seconds=1):%Y-%m-%dT%H:%M:%SZ}",
            "batchSize": 1,
        },
    }
    for letter in (record, without_image, too_old):
        heard.messages.clear()
        dead_letters.send(letter)
        assert "0 records are dead letters again" in replay(stack, "publish")
        again = heard.wait(lambda messages: session in read_sessions(messages))
        assert first["detail"] in [event["detail"] for event in again]  # with the same eventId
    assert dead_letters.receive() == []


def test_dead_letters_of_an_end_can_be_replayed(
    stack: Stack, token: str, heard: Queue, queue: Callable[[str], Queue]
) -> None:
    dead_letters = queue("PublishDeadLetters")
    session = stack.post({}, token).json()
    end(stack, session, token)
    [first] = find_ends(heard.wait(find_ends))
    record = make_record(stack, session) | {"eventName": "MODIFY"}
    record["dynamodb"]["OldImage"] = record["dynamodb"]["NewImage"] | {"ended": {"BOOL": False}}
    without_images = record | {"dynamodb": {"Keys": record["dynamodb"]["Keys"]}}
    arrival = f"{datetime.fromisoformat(first['detail']['session']['dateCompleted']):%Y-%m-%dT%H:%M:%SZ}"
    fields = ("approximateArrivalOfFirstRecord", "approximateArrivalOfLastRecord")
    too_old = {"DDBStreamBatchInfo": dict.fromkeys(fields, arrival)}
    for letter in (record, without_images, too_old):
        heard.messages.clear()
        dead_letters.send(letter)
        assert "0 records are dead letters again" in replay(stack, "publish")
        events = heard.wait(find_ends)
        assert first["detail"] in [event["detail"] for event in find_ends(events)]  # with the same eventId
    assert dead_letters.receive() == []


def test_both_events_of_an_ended_session_can_be_published_again_by_its_id(
    stack: Stack, token: str, heard: Queue
) -> None:
    session, over = (stack.post(body, token).json() for body in ({}, {"callState": "Disconnected"}))
    end(stack, session, token)
    before = heard.wait(lambda events: len(events) == 3)
    ids = sorted(event["detail"]["eventId"] for event in before)
    heard.messages.clear()
    keys = " ".join(f"acme#{each['id']}" for each in (session, over))
    assert replay(stack, keys) == "2 of 2 sessions were published."
    again = heard.wait(lambda events: len(events) == 3)
    assert sorted(event["detail"]["eventId"] for event in again) == ids


def test_a_session_can_be_published_again_by_its_id(stack: Stack, token: str, heard: Queue) -> None:
    session = stack.post({}, token).json()
    heard.wait(bool)
    assert replay(stack, f"acme#{session['id']} my account#{'0' * 32}") == "1 of 2 sessions were published."
    first, second = heard.wait(lambda messages: len(messages) == 2)
    assert first["detail"] == second["detail"]


def test_a_session_in_place_of_an_expired_one_has_an_event_and_its_erasure_has_none(
    stack: Stack, token: str, heard: Queue, queue: Callable[[str], Queue]
) -> None:
    dead_letters, table = queue("PublishDeadLetters"), stack.table("SessionsTableName")
    key = {"Idempotency-Key": "expired"}
    first = stack.send("POST", "/sessions", "{}", token, key).json()
    [item] = table.scan(FilterExpression="id = :id", ExpressionAttributeValues={":id": first["id"]})["Items"]
    table.put_item(Item=item | {"expiresAt": 1})
    assert stack.get(first["id"], token).status == 404
    session = stack.send("POST", "/sessions", "{}", token, key).json()
    assert (session["id"], session == first) == (first["id"], False)
    heard.wait(lambda events: session in read_sessions(events))

    assert "is deleted from the table" in run(stack.state, "erase", "--session", f"acme/{session['id']}").stdout
    assert stack.get(session["id"], token).status == 404
    last = stack.post({}, token).json()
    published = read_sessions(heard.wait(lambda events: last in read_sessions(events)))
    assert sorted(published, key=lambda each: each["dateCreated"]) == [first, session, last]
    assert dead_letters.receive() == []


def test_dead_letters_of_the_flow_engine_can_be_replayed(
    stack: Stack, token: str, heard: Queue, queue: Callable[[str], Queue]
) -> None:
    flow_starts, dead_letters = queue("FlowStartQueue"), queue("FlowStartDeadLetters")
    session = stack.post({"startSession": True}, token).json()
    (detail,), (event,) = flow_starts.wait(bool), heard.wait(bool)
    assert detail == event["detail"]
    dead_letters.send(detail)
    dead_letters.send(event)  # EventBridge sends the whole event if it cannot deliver it
    assert replay(stack, "flow-start") == "2 letters went to the queue of the flow engine."
    assert flow_starts.wait(lambda messages: len(messages) == 3) == [detail] * 3

    flow_starts.messages.clear()
    end(stack, session, token)
    [ended] = flow_starts.wait(bool)
    dead_letters.send(ended)
    assert replay(stack, "flow-start") == "1 letters went to the queue of the flow engine."
    assert flow_starts.wait(lambda messages: len(messages) == 2) == [ended] * 2
    assert dead_letters.receive() == []


def test_watch_prints_events_and_removes_its_rule_and_queue(stack: Stack, token: str) -> None:
    rules, queues = stack.client("events"), stack.client("sqs")

    def list_names() -> tuple[list[str], list[str]]:
        on_bus = rules.list_rules(EventBusName=stack.outputs()["EventBusName"])["Rules"]
        return [rule["Name"] for rule in on_bus], queues.list_queues()["QueueUrls"]

    before = list_names()
    with subprocess.Popen(
        command(stack.state, "watch"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as watch:
        assert watch.stdout
        assert watch.stderr
        try:
            assert "Ctrl-C" in watch.stderr.readline()
            session = stack.post({}, token).json()
            while session not in read_sessions([json.loads(watch.stdout.readline())]):
                pass
        finally:
            watch.send_signal(signal.SIGINT)
            _, errors = watch.communicate(timeout=30)
    assert (watch.returncode, errors) == (0, "")
    assert list_names() == before
