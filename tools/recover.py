"""Replay of dead letters and sessions, restore of lost sessions, and erasure of one. docs/operations.md tells when.

Sessions past their retention are neither published from the table nor restored. Each command can be repeated. A letter
is deleted after it was sent, and consumers drop duplicates. A restore leaves items of the stack's table unchanged, and
can run while clients create sessions.
"""

import json
import re
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from itertools import batched, chain
from typing import Any

import boto3
from botocore.config import Config

from deployed_stack import RefusedError

THREADS = 16

type Record = dict[str, Any]  # a record of the stream of the sessions table, in DynamoDB's wire format


class Stack:
    """A deployed stack: its resources by logical id."""

    def __init__(self, name: str) -> None:
        pages = boto3.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=name)
        resources = [resource for page in pages for resource in page["StackResourceSummaries"]]
        self.ids = {each["LogicalResourceId"]: each.get("PhysicalResourceId", "") for each in resources}
        self.dynamodb, self.functions, self.sqs = boto3.client("dynamodb"), boto3.client("lambda"), boto3.client("sqs")

    def receive(self, queue: str) -> Iterator[Any]:
        """Yield the content of each message that a queue has now; delete the message when the caller has used it."""
        url, messages = self.ids[queue], list[Any]()
        while received := self.sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=900, WaitTimeSeconds=1
        ).get("Messages"):
            messages += received
        for message in messages:
            yield json.loads(message["Body"])
            self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    def publish(self, records: Iterable[Record]) -> tuple[int, int]:
        """Publish records; return how many were published, and how many became dead letters again."""
        published = dead = 0
        for batch in batched(records, 5, strict=False):  # 4 MB at most, and Lambda accepts 6
            payload = json.dumps({"Records": batch}, ensure_ascii=False).encode()
            function = self.ids["PublishEventsFunction"]
            reply = self.functions.invoke(FunctionName=function, Qualifier="live", Payload=payload)
            counts = json.load(reply["Payload"])
            if "FunctionError" in reply:
                raise RefusedError(f"publish_events failed, and the letter is kept: {counts.get('errorMessage')}")
            published, dead = published + counts["published"], dead + counts["dead_letters"]
        return published, dead

    def find_session(self, key: dict[str, Any]) -> Iterator[Record]:
        """Yield the records of the session with this key, if the table has it."""
        reply = self.dynamodb.get_item(TableName=self.ids["SessionsTable"], Key=key, ConsistentRead=True)
        if "Item" in reply:
            yield from make_records(reply["Item"])

    def find_sessions(self, since: datetime, until: datetime) -> Iterator[Record]:
        """Yield records of the sessions that were created or ended in a period. This reads the whole table."""
        first, last = f"{since:%Y-%m-%dT%H:%M:%S}", f"{until:%Y-%m-%dT%H:%M:%S}"
        for page in self.dynamodb.get_paginator("scan").paginate(
            TableName=self.ids["SessionsTable"],
            FilterExpression="dateCreated BETWEEN :first AND :last OR dateCompleted BETWEEN :first AND :last",
            ExpressionAttributeValues={":first": {"S": first}, ":last": {"S": last}},
        ):
            for record in chain.from_iterable(map(make_records, page["Items"])):
                date = "dateCompleted" if record["eventName"] == "MODIFY" else "dateCreated"
                if first <= record["dynamodb"]["NewImage"][date]["S"] <= last:
                    yield record

    def find_records(self, letter: dict[str, Any]) -> Iterator[Record]:
        """Yield the records of a dead letter of publish_events."""
        if "DDBStreamBatchInfo" in letter:  # from the event source mapping, which names only the time of the records
            batch = letter["DDBStreamBatchInfo"]
            # The stream counts whole seconds. A session is dated up to half a minute before it is stored.
            since = datetime.fromisoformat(batch["approximateArrivalOfFirstRecord"]) - timedelta(minutes=1)
            until = datetime.fromisoformat(batch["approximateArrivalOfLastRecord"]) + timedelta(seconds=2)
            yield from self.find_sessions(since, until)
        elif "Keys" in letter.get("dynamodb", {}) and "NewImage" not in letter["dynamodb"]:  # too large for a message
            for record in self.find_session(letter["dynamodb"]["Keys"]):
                # A change is an end, or a new session in place of an expired one.
                if letter["eventName"] in ("MODIFY", record["eventName"]):
                    yield record
        else:
            yield letter


def is_expired(item: dict[str, Any]) -> bool:
    """Return whether a session is past its retention, so that it counts as deleted."""
    return float(item.get("expiresAt", {"N": "inf"})["N"]) <= time.time()


def make_records(item: dict[str, Any]) -> list[Record]:
    """Return the fields that publish_events reads of a session's stream records: of its creation, and of its end.

    A session that was created ended has no changeId. An expired session has no records.
    """
    if is_expired(item):
        return []
    images = {"Keys": {"pk": item["pk"]}, "NewImage": item}
    records = [{"eventName": "INSERT", "dynamodb": images}]
    if item.get("ended") == {"BOOL": True} and "changeId" in item:
        records.append({"eventName": "MODIFY", "dynamodb": images | {"OldImage": item | {"ended": {"BOOL": False}}}})
    return records


def replay(stack: Stack, letters: str) -> str:
    """Send dead letters again, or publish the events of sessions; return a sentence with their number.

    `letters` is `publish` (the queue PublishDeadLetters), `flow-start` (the queue FlowStartDeadLetters), or the keys of
    sessions, `account#id`, separated by spaces.
    """
    if letters == "publish":
        counts = [stack.publish(stack.find_records(letter)) for letter in stack.receive("PublishDeadLetters")]
        published, dead = sum(each[0] for each in counts), sum(each[1] for each in counts)
        return f"{len(counts)} letters: {published} sessions were published, {dead} records are dead letters again."
    if letters == "flow-start":
        count = 0
        for letter in stack.receive("FlowStartDeadLetters"):
            count += 1
            # A letter of EventBridge is a whole event. The queue gets the detail of a start, and all of an end.
            message = letter["detail"] if letter.get("detail-type") == "SessionCreated" else letter
            stack.sqs.send_message(QueueUrl=stack.ids["FlowStartQueue"], MessageBody=json.dumps(message))
        return f"{count} letters went to the queue of the flow engine."
    keys = re.findall(r"[^#]+#[0-9a-f]{32}", letters)  # an account id may contain spaces
    if not keys or "".join(keys) != letters:
        raise RefusedError(f"LETTERS is '{letters}', and must be publish, flow-start, or keys of sessions: account#id")
    counts = [stack.publish(stack.find_session({"pk": {"S": key.strip()}})) for key in keys]
    return f"{sum(published > 0 for published, _ in counts)} of {len(keys)} sessions were published."


def restore(stack: Stack, source: str) -> str:
    """Copy the sessions of a table that the stack's table lacks; return a sentence with their number.

    Expired sessions are not copied, and not counted.
    """
    target = stack.ids["SessionsTable"]
    config = Config(max_pool_connections=THREADS, retries={"mode": "standard", "total_max_attempts": 10})
    dynamodb = boto3.client("dynamodb", config=config)
    keys = [dynamodb.describe_table(TableName=table)["Table"]["KeySchema"] for table in (source, target)]
    if keys[0] != keys[1]:
        raise RefusedError(f"{source} is not a table of sessions: its key differs from the key of {target}.")

    def put(item: dict[str, Any]) -> bool:
        try:
            dynamodb.put_item(TableName=target, Item=item, ConditionExpression="attribute_not_exists(pk)")
        except dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True

    missing = read = 0
    with ThreadPoolExecutor(THREADS) as pool:
        for page in dynamodb.get_paginator("scan").paginate(TableName=source, ConsistentRead=True):
            items = [item for item in page["Items"] if not is_expired(item)]
            missing += sum(pool.map(put, items))
            read += len(items)
    return f"{missing} of {read} sessions were missing, and are restored."


def erase(stack: Stack, session: str) -> str:
    """Delete a session, `account/id`, from the stack's table; return a text that says where copies may remain."""
    parts = re.fullmatch(r"([^#]+)/([0-9a-f]{32})", session)
    if not parts:
        raise RefusedError(f"'{session}' names no session. Write its account, a slash and its id of 32 hex digits.")
    account_id, session_id = parts.groups()
    table = stack.ids["SessionsTable"]
    key = {"pk": {"S": f"{account_id}#{session_id}"}}
    item = stack.dynamodb.delete_item(TableName=table, Key=key, ReturnValues="ALL_OLD").get("Attributes")
    if not item:
        raise RefusedError(f"The account {account_id} has no session {session_id}. Nothing was deleted.")
    return f"""\
The session {session_id} of the account {account_id} is deleted from the table {table}.
Copies may remain:
- in the stream of the table, for 24 hours;
- in backups: point-in-time recovery for 35 days, and backups and tables that you made. A restore brings it back;
- in the queues FlowStartQueue, FlowStartDeadLetters and PublishDeadLetters, for 14 days;
- at the consumers of its events, as long as they keep them.
Logs contain its id, but none of its content. Other sessions may name it as their parentSessionId.
If a client repeats the create with the same Idempotency-Key, the session is created again."""
