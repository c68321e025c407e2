"""Imports directory documents: who and what the accounts have, and who may sign in.

A document is the whole state of each account that it names: what it omits is removed; other accounts are untouched. It
is checked as a whole before anything is written. Every write may be repeated, and an import that was interrupted is
completed by running it, or a newer document, again:

    1  addresses that the document omits are deleted     nobody keeps an access that was taken away; one that moves
                                                         to another account of the document is its old one's until 4
    2  other entries that it omits are deleted
    3  other entries are put
    4  addresses are put                                 nobody signs in before the account is complete

An address is two items, the account's entry and the sign-in, which are written in one transaction: whatever happens, a
sign-in names an account exactly as long as that account has the entry by which the next import finds it. The sessions
bundle reads these items; the template has their layout above the table.
"""

import json
import os
import random
import time
from collections.abc import Iterator
from itertools import batched
from typing import TYPE_CHECKING, Any, cast

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.parser import ValidationError, parse
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config
from botocore.session import get_session

from directory.entries import Item, address_key, make_entries, make_sign_in
from directory.models import Account, Directory, Error, Path, find_errors

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TABLE = os.environ["DIRECTORY_TABLE"]
DOCUMENT_MAX = 5 * 1024 * 1024  # bytes of JSON; Lambda takes 6 MB
ERRORS_MAX = 1000  # what Lambda answers has 6 MB at most

# Why a transaction is refused that may be sent again. The SDK does not: to it, these are all one error.
PASSING = {"ProvisionedThroughputExceeded", "ThrottlingError", "TransactionConflict"}

config = Config(retries={"mode": "standard", "total_max_attempts": 5})
client = cast("DynamoDBClient", get_session().create_client("dynamodb", config=config))
logger = Logger()

type Key = tuple[str, str]


def handler(event: dict[str, Any], _: LambdaContext) -> dict[str, Any]:
    """Import the document that the event is.

    Answers {"accounts", "put", "deleted"}, numbers of accounts and items; or {"errors": [{"path", "message"}]} when
    nothing was written: what is wrong in itself, else what contradicts the rest. Raises what DynamoDB refuses for good,
    and when another import took an address meanwhile: then run it again.
    """
    text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    if len(text.encode(errors="surrogatepass")) > DOCUMENT_MAX:
        return refuse([((), "the document is larger than 5 MB")])
    try:
        directory = parse(event=event, model=Directory)
    except ValidationError as error:
        return refuse([(detail["loc"], detail["msg"]) for detail in error.errors(include_url=False)])
    owners = find_owners(directory)
    if errors := find_errors(directory) + find_taken_addresses(directory, owners):
        return refuse(errors)

    entries = {key_of(entry): entry for account in directory.accounts for entry in make_entries(account)}
    sign_ins = {address_key(user): make_sign_in(a, user) for a in directory.accounts for user in a.users}
    omitted = [key for account in directory.accounts for key in find_keys(account) if key not in entries]

    transact([remove_address(key) for key in omitted if is_address(key) and key[1] not in sign_ins])
    write([{"DeleteRequest": {"Key": write_key(key)}} for key in omitted if not is_address(key)])
    write([{"PutRequest": {"Item": write_item(entry)}} for key, entry in entries.items() if not is_address(key)])
    addresses = [(entry, sign_ins[key[1]]) for key, entry in entries.items() if is_address(key)]
    transact([put_address(entry, sign_in, owners.get(entry["sk"])) for entry, sign_in in addresses])
    counts = {"accounts": len(directory.accounts), "put": len(entries) + len(sign_ins), "deleted": len(omitted)}
    logger.info("directory imported", extra=counts)
    return counts


def refuse(errors: list[Error]) -> dict[str, Any]:
    """The answer that tells what is wrong where, such as at `accounts[0].teams[1].userIds[2]`: the first ERRORS_MAX."""
    told = [{"path": format_path(path), "message": message} for path, message in errors[:ERRORS_MAX]]
    if len(errors) > ERRORS_MAX:
        told.append({"path": "", "message": f"and {len(errors) - ERRORS_MAX} more"})
    return {"errors": told}


def format_path(path: Path) -> str:
    """A place in the document as JavaScript writes it."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


def key_of(item: Item) -> Key:
    """The key of an item."""
    return item["pk"], item["sk"]


def is_address(key: Key) -> bool:
    """Whether this is an account's entry for an address, which has a sign-in beside it."""
    return key[1].startswith("EMAIL#")


def write_item(item: Item) -> Item:
    """Plain values, which are strings, lists and objects, as DynamoDB's wire types."""
    return {name: write_value(value) for name, value in item.items()}


def write_value(value: str | list[Any] | Item) -> dict[str, Any]:
    if isinstance(value, str):
        return {"S": value}
    return {"M": write_item(value)} if isinstance(value, dict) else {"L": [write_value(each) for each in value]}


def write_key(key: Key) -> Item:
    """A key in DynamoDB's wire types."""
    return write_item({"pk": key[0], "sk": key[1]})


# ----------------------------------------------------------------------------------------------------- reads and writes


def find_keys(account: Account) -> Iterator[Key]:
    """The keys of all that the account has in the table."""
    pages = client.get_paginator("query").paginate(
        TableName=TABLE,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": f"ACCOUNT#{account.id}"}},
        ProjectionExpression="pk, sk",
        ConsistentRead=True,
    )
    for page in pages:
        for item in page["Items"]:
            yield item["pk"]["S"], item["sk"]["S"]


def find_owners(directory: Directory) -> dict[str, str]:
    """The account that each address of the document belongs to now, by the key of its sign-in; not those of none."""
    keys = {address_key(user) for account in directory.accounts for user in account.users}
    owners: dict[str, str] = {}
    for batch in batched(sorted(keys), 100, strict=False):  # as many as BatchGetItem takes
        wanted: dict[str, Any] = {
            TABLE: {
                "Keys": [write_key((key, "SIGN_IN")) for key in batch],
                "ProjectionExpression": "pk, accountId",
                "ConsistentRead": True,
            }
        }
        pauses = back_off()
        while wanted:
            response = client.batch_get_item(RequestItems=wanted)
            owners |= {item["pk"]["S"]: item["accountId"]["S"] for item in response["Responses"].get(TABLE, [])}
            if wanted := dict(response["UnprocessedKeys"]):
                time.sleep(next(pauses))
    return owners


def find_taken_addresses(directory: Directory, owners: dict[str, str]) -> list[Error]:
    """An error for each address that belongs to an account whose state the document does not tell."""
    named = {account.id for account in directory.accounts}
    return [
        (("accounts", index, "users", number, "email"), "belongs to another account")
        for index, account in enumerate(directory.accounts)
        for number, user in enumerate(account.users)
        if owners.get(address_key(user), account.id) not in named
    ]


def write(requests: list[Any]) -> None:
    """Put and delete items, in batches; what DynamoDB hands back is sent again."""
    for batch in batched(requests, 25, strict=False):  # as many as BatchWriteItem takes
        wanted: dict[str, Any] = {TABLE: list(batch)}
        pauses = back_off()
        while wanted:
            response = client.batch_write_item(RequestItems=wanted)
            if wanted := dict(response["UnprocessedItems"]):
                time.sleep(next(pauses))


def remove_address(key: Key) -> list[Any]:
    """The writes that take an address from its account: its entry, and its sign-in, which must be the account's."""
    account_id = key[0].removeprefix("ACCOUNT#")
    sign_in = {
        "TableName": TABLE,
        "Key": write_key((key[1], "SIGN_IN")),
        "ConditionExpression": "attribute_not_exists(pk) OR accountId = :account",
        "ExpressionAttributeValues": {":account": {"S": account_id}},
    }
    return [{"Delete": sign_in}, {"Delete": {"TableName": TABLE, "Key": write_key(key)}}]


def put_address(entry: Item, sign_in: Item, owner: str | None) -> list[Any]:
    """The writes that give an account an address: its entry and its sign-in, and off with the entry of another owner.

    Only while the address is free, or belongs to the owner whom it had when it was checked.
    """
    account_id = sign_in["accountId"]
    put = {
        "TableName": TABLE,
        "Item": write_item(sign_in),
        "ConditionExpression": "attribute_not_exists(pk) OR accountId IN (:before, :after)",
        "ExpressionAttributeValues": {":before": {"S": owner or account_id}, ":after": {"S": account_id}},
    }
    writes: list[Any] = [{"Put": put}, {"Put": {"TableName": TABLE, "Item": write_item(entry)}}]
    if owner and owner != account_id:
        writes.append({"Delete": {"TableName": TABLE, "Key": write_key((f"ACCOUNT#{owner}", entry["sk"]))}})
    return writes


def transact(groups: list[list[Any]]) -> None:
    """Make these writes, those of a group all or none; again if they are throttled or another write is in the way."""
    for batch in batched(groups, 33, strict=False):  # of up to three writes: TransactWriteItems takes 100
        writes = [write for group in batch for write in group]
        pauses = back_off()
        while True:
            try:
                client.transact_write_items(TransactItems=writes)
                break
            except client.exceptions.TransactionCanceledException as error:
                reasons = {reason.get("Code", "None") for reason in error.response["CancellationReasons"]}
                if not reasons <= PASSING | {"None"}:
                    logger.exception("a transaction of addresses was refused")
                    raise
                time.sleep(next(pauses))


def back_off() -> Iterator[float]:
    """Seconds to wait before sending again what DynamoDB handed back, ever longer. Ends by raising TimeoutError."""
    for attempt in range(10):
        yield random.uniform(0, 0.05 * 2**attempt)  # noqa: S311 (jitter, no secret)
    raise TimeoutError("DynamoDB keeps handing items back: run the import again")
