"""Sends a stack's dead letters again, those that are there when it starts; docs/operations.md says when.

    usage: replay.py STACK publish            the sessions that were not announced, through publish_events
           replay.py STACK flow-start         the flows that were not started, to the queue of the flow engine
           replay.py STACK ACCOUNT#ID...      these sessions, as the table has them, through publish_events

A letter is deleted once it was sent, so that an interrupted replay can be repeated; consumers drop what comes twice.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import batched
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

HIDDEN = 900  # seconds for which a letter that was received stays away from other receivers

type Record = dict[str, Any]  # of the sessions table's stream


class Stack:
    """A deployed stack: its resources by logical id."""

    def __init__(self, name: str) -> None:
        pages = boto3.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=name)
        resources = [resource for page in pages for resource in page["StackResourceSummaries"]]
        self.ids = {each["LogicalResourceId"]: each.get("PhysicalResourceId", "") for each in resources}
        self.dynamodb, self.functions, self.sqs = boto3.client("dynamodb"), boto3.client("lambda"), boto3.client("sqs")

    def receive(self, queue: str) -> list[Any]:
        """All messages that the queue has now; they stay in it."""
        messages: list[Any] = []
        while received := self.sqs.receive_message(
            QueueUrl=self.ids[queue], MaxNumberOfMessages=10, VisibilityTimeout=HIDDEN, WaitTimeSeconds=1
        ).get("Messages"):
            messages += received
        return messages

    def delete(self, queue: str, message: Any) -> None:  # noqa: ANN401
        self.sqs.delete_message(QueueUrl=self.ids[queue], ReceiptHandle=message["ReceiptHandle"])

    def publish(self, records: Iterable[Record]) -> tuple[int, int]:
        """Announce these. How many are announced, and how many became dead letters again."""
        published = dead = 0
        for batch in batched(records, 10, strict=False):  # 4 MB at most as UTF-8, and Lambda takes 6
            reply = self.functions.invoke(
                FunctionName=self.ids["PublishEventsFunction"],
                Qualifier="live",
                Payload=json.dumps({"Records": batch}, ensure_ascii=False).encode(),
            )
            counts = json.load(reply["Payload"])
            if "FunctionError" in reply:
                raise SystemExit(f"publish_events failed, and the letter is kept: {counts.get('errorMessage')}")
            published, dead = published + counts["published"], dead + counts["dead_letters"]
        return published, dead

    def find_session(self, key: dict[str, Any]) -> Iterator[Record]:
        """A record of the session with this key, as the table has it now, if it does."""
        reply = self.dynamodb.get_item(TableName=self.ids["SessionsTable"], Key=key, ConsistentRead=True)
        if "Item" in reply:
            yield make_record(reply["Item"])

    def find_sessions(self, since: datetime, until: datetime) -> Iterator[Record]:
        """Records of the sessions that were created in this time. Reads the whole table."""
        pages = self.dynamodb.get_paginator("scan").paginate(
            TableName=self.ids["SessionsTable"],
            FilterExpression="dateCreated BETWEEN :since AND :until",
            ExpressionAttributeValues={
                ":since": {"S": f"{since:%Y-%m-%dT%H:%M:%S}"},
                ":until": {"S": f"{until:%Y-%m-%dT%H:%M:%S}"},
            },
        )
        for page in pages:
            yield from map(make_record, page["Items"])

    def find_records(self, letter: dict[str, Any]) -> Iterator[Record]:
        """What a dead letter of publish_events is about: a record, or those that the mapping gave up."""
        if "DDBStreamBatchInfo" in letter:  # the mapping names no session, but when the records came
            batch = letter["DDBStreamBatchInfo"]
            # The stream knows seconds, and a session is dated up to half a minute before it is stored.
            since = datetime.fromisoformat(batch["approximateArrivalOfFirstRecord"]) - timedelta(minutes=1)
            until = datetime.fromisoformat(batch["approximateArrivalOfLastRecord"]) + timedelta(seconds=2)
            yield from self.find_sessions(since, until)
        elif "Keys" in letter.get("dynamodb", {}) and "NewImage" not in letter["dynamodb"]:  # too large for a message
            yield from self.find_session(letter["dynamodb"]["Keys"])
        else:
            yield letter


def make_record(item: dict[str, Any]) -> Record:
    """What the stream told when this item, in DynamoDB's wire types, was stored; as much as publish_events reads."""
    return {"eventName": "INSERT", "dynamodb": {"Keys": {"pk": item["pk"]}, "NewImage": item}}


def replay_publish(stack: Stack) -> str:
    """Announce what the dead letters of publish_events are about. What happened, in a sentence."""
    published = dead = 0
    letters = stack.receive("PublishDeadLetters")
    for message in letters:
        counts = stack.publish(stack.find_records(json.loads(message["Body"])))
        published, dead = published + counts[0], dead + counts[1]
        stack.delete("PublishDeadLetters", message)
    return f"{len(letters)} letters: {published} sessions were announced, {dead} records are dead letters again."


def replay_flow_start(stack: Stack) -> str:
    """Hand the flow engine what it gave back, or what never reached it. What happened, in a sentence."""
    letters = stack.receive("FlowStartDeadLetters")
    for message in letters:
        body = json.loads(message["Body"])
        detail = body["detail"] if "detail-type" in body else body  # EventBridge's own letters are whole events
        stack.sqs.send_message(QueueUrl=stack.ids["FlowStartQueue"], MessageBody=json.dumps(detail))
        stack.delete("FlowStartDeadLetters", message)
    return f"{len(letters)} letters went to the queue of the flow engine."


def main() -> None:
    match sys.argv[1:]:
        case [name, "publish"]:
            print(replay_publish(Stack(name)))
        case [name, "flow-start"]:
            print(replay_flow_start(Stack(name)))
        case [name, *keys] if keys and all("#" in key for key in keys):
            stack = Stack(name)
            counts = stack.publish(record for key in keys for record in stack.find_session({"pk": {"S": key}}))
            print(f"{counts[0]} of {len(keys)} sessions were announced.")
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    try:
        main()
    except (BotoCoreError, ClientError) as error:
        raise SystemExit(f"AWS refused: {error}") from None
