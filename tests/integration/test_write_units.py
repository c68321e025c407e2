"""The write units of a create and of an end: one write of one item each.

DynamoDB bills one unit for each started KB of a written item. An index or a replica costs as much again, and a
transaction twice as much. moto reports one unit for every write, so the tests compute the size.
"""

import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import CONTEXT, make_end, make_event
from integration.api import measure_item
from mypy_boto3_dynamodb import DynamoDBClient

from aws.wire import to_wire
from sessions import store
from sessions.handler import handler

WIDE = "\N{HEADPHONE}"  # 4 bytes in UTF-8
LONGEST = {"displayName": 256, "fromName": 256, "fromAddress": 320, "toAddress": 320, "destination": 512}
PEOPLE = [f"user{number}@example.com" for number in range(49)]
# The body and the write units of each create. The last one has 50 members with long names.
CREATES: dict[str, tuple[dict[str, Any], int]] = {
    "of nothing": ({}, 1),
    "plain": ({"displayName": "Order 1042", "channel": "Voice", "toAddress": "+15557654321", "startSession": True}, 1),
    "with references": ({"customerId": "northwind-paris", "withAddress": "team:support", "startSession": True}, 2),
    "with all texts at their longest": ({name: WIDE * length for name, length in LONGEST.items()}, 8),
    "with 50 members": ({"memberEmailAddresses": PEOPLE}, 20),
}

type Write = tuple[str, dict[str, Any]]


@pytest.fixture
def writes(directory: DynamoDBClient) -> Iterator[list[Write]]:
    """The operations of the handler that are not reads, with their requests."""
    for number, address in enumerate(PEOPLE):
        key = {"pk": "ACCOUNT#acme", "sk": f"EMAIL#{address}"}
        person = {"userId": f"user{number}", "name": WIDE * 64, "endpointId": f"ep-{number}"}
        directory.put_item(TableName="directory", Item=to_wire(key | person))
    sent: list[Write] = []

    def note(model: Any, params: dict[str, Any], **_: object) -> None:  # noqa: ANN401 (botocore's)
        if model.name not in {"BatchGetItem", "GetItem"}:
            sent.append((model.name, json.loads(params["body"])))

    store.client.meta.events.register_last("before-call.dynamodb", note)
    yield sent
    store.client.meta.events.unregister("before-call.dynamodb", note)


@pytest.mark.parametrize("retention_days", [0, 3650])
@pytest.mark.parametrize("name", CREATES)
def test_a_create_and_its_end_each_write_one_item_and_are_billed_for_its_size(
    name: str, retention_days: int, directory: DynamoDBClient, writes: list[Write], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "RETENTION_SECONDS", retention_days * 24 * 3600)
    body, units = CREATES[name]
    response = handler(make_event(body, "k" * 255), CONTEXT)
    assert response["statusCode"] == 200

    [(operation, request)] = writes
    item = request["Item"]
    assert (operation, request["TableName"]) == ("PutItem", "sessions")
    assert ("expiresAt" in item) == (retention_days > 0)
    assert directory.scan(TableName="sessions")["Items"] == [item]
    assert math.ceil(measure_item(item) / 1024) == units
    # Fields of the request that the reply lacks are stored, too. The other attributes are keys and hashes.
    session = json.loads(response["body"])
    asked = {field: value for field, value in body.items() if field not in session}
    assert measure_item(item) - measure_item(to_wire(session | asked)) < 200

    assert handler(make_end(session["id"]), CONTEXT)["statusCode"] == 204
    assert [(operation, request["TableName"]) for operation, request in writes[1:]] == [("UpdateItem", "sessions")]
    [ended] = directory.scan(TableName="sessions")["Items"]
    assert ended.get("expiresAt") == item.get("expiresAt")
    # The end adds 143 bytes to the plain session. With the 15 bytes of a retention, the item is larger than 1 KB.
    units_of_end = units + (name == "plain" and retention_days > 0)
    assert math.ceil(max(measure_item(item), measure_item(ended)) / 1024) == units_of_end


def test_no_index_and_no_replica_is_written_too(template: dict[str, Any]) -> None:
    table = template["Resources"]["SessionsTable"]
    assert table["Type"] == "AWS::DynamoDB::Table"  # a GlobalTable has replicas
    assert table["Properties"]["BillingMode"] == "PAY_PER_REQUEST"
    assert not {"GlobalSecondaryIndexes", "LocalSecondaryIndexes"} & table["Properties"].keys()


def test_an_item_is_as_large_as_amazon_says() -> None:
    """A name or text has its bytes in UTF-8, a boolean 1, and a list or map 3 and 1 for each entry.

    A number has 1 byte for each two digits, and 1 more.
    """
    item = {"pk": "é", "flag": True, "number": 123, "list": ["ab", []], "map": {"k": "v"}}
    assert measure_item(to_wire(item)) == (2 + 2) + (4 + 1) + (6 + 3) + (4 + 3 + 2 + 2 + 3) + (3 + 3 + 1 + 1 + 1)
