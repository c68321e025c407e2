"""Imports directory documents: accounts with their users, teams, customers and caller IDs.

A document is the whole state of each account that it names. The import deletes other entries of these accounts, and
does not change other accounts. It checks the whole document before it writes. Repeating a write is safe. To complete an
interrupted import, import the same or a newer document.

An email address has two items in the table. The API reads the entry, `ACCOUNT#<account>` `EMAIL#<address>`.
`add_claims` reads the sign-in item, `EMAIL#<address>` `SIGN_IN`. One transaction writes both. So each sign-in item has
an entry, through which the next import finds it. The order of the writes, and what holds from then on:

    1  delete omitted addresses                         removed users get no claims
    2  delete omitted entries that are not addresses
    3  put entries that are not addresses
    4  put addresses                                    new users get claims

A removed user keeps access until the last token of the user expires. An address that moves between two accounts of the
document belongs to the old one until step 4.
"""

import json
import os
from collections.abc import Iterator
from itertools import batched
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.parser import ValidationError, parse
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic_core import ErrorDetails

from aws.client import attempts, make_client
from aws.wire import to_wire
from directory.entries import Item, address_key, make_entries, make_sign_in
from directory.models import FORMATS, Account, Document, Error, Path, find_errors

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

DIRECTORY_TABLE = os.environ["DIRECTORY_TABLE"]
DOCUMENT_MAX = 5 * 1024 * 1024  # bytes of JSON; Lambda takes 6 MB
ERRORS_MAX = 1000  # a response of Lambda has 6 MB at most
# Bytes of a user's sign-in item as ASCII JSON. Its claims make a token of 7,500 bytes at most, without the names of the
# user's groups. API Gateway accepts 10,240 bytes of request line and headers in all.
CLAIMS_MAX = 4096

# Reasons for which we retry a cancelled transaction. botocore itself does not retry it.
TRANSIENT = {"ProvisionedThroughputExceeded", "ThrottlingError", "TransactionConflict"}

client: "DynamoDBClient" = make_client("dynamodb", read_seconds=20, attempts=5)
logger = Logger()

type Key = tuple[str, str]


def handler(event: dict[str, Any], _: LambdaContext) -> dict[str, Any]:
    """Import the document in the event.

    Return {"accounts", "put", "deleted"}: numbers of accounts and items. For an invalid document write nothing, and
    return {"errors": [{"path", "message"}]}. The import first checks each value, and then the whole document.

    Raise DynamoDB's errors. TransactionCanceledException usually means that another import took an address in the
    meantime. TimeoutError means that all retries failed. Run the import again.
    """
    text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    if len(text.encode(errors="surrogatepass")) > DOCUMENT_MAX:
        return refuse([((), "the document is larger than 5 MB")])
    try:
        document = parse(event=event, model=Document)
    except ValidationError as error:
        return refuse([(detail["loc"], describe(detail)) for detail in error.errors(include_url=False)])
    owners = find_owners(document)
    if errors := find_errors(document) + find_taken_addresses(document, owners) + find_large_claims(document):
        return refuse(errors)

    entries = {key_of(entry): entry for account in document.accounts for entry in make_entries(account)}
    sign_ins = {address_key(user): make_sign_in(a, user) for a in document.accounts for user in a.users}
    omitted = [key for account in document.accounts for key in find_keys(account) if key not in entries]
    removed_addresses = [key for key in omitted if is_address(key) and key[1] not in sign_ins]

    transact([remove_address(key) for key in removed_addresses])
    write([{"DeleteRequest": {"Key": to_wire_key(key)}} for key in omitted if not is_address(key)])
    write([{"PutRequest": {"Item": to_wire(entry)}} for key, entry in entries.items() if not is_address(key)])
    addresses = [(entry, sign_ins[key[1]]) for key, entry in entries.items() if is_address(key)]
    transact([put_address(entry, sign_in, owners.get(entry["sk"])) for entry, sign_in in addresses])
    counts = {
        "accounts": len(document.accounts),
        "put": len(entries) + len(sign_ins),
        "deleted": len(omitted) + len(removed_addresses),
    }
    logger.info("Directory imported", extra=counts)
    return counts


def describe(detail: ErrorDetails) -> str:
    """Return the message of a Pydantic error; for text that does not match its format, the message of the format."""
    return FORMATS.get(detail.get("ctx", {}).get("pattern", ""), detail["msg"])


def refuse(errors: list[Error]) -> dict[str, Any]:
    """Return the first ERRORS_MAX errors, with paths such as `accounts[0].teams[1].userIds[2]`."""
    described = [{"path": format_path(path), "message": message} for path, message in errors[:ERRORS_MAX]]
    if len(errors) > ERRORS_MAX:
        described.append({"path": "", "message": f"and {len(errors) - ERRORS_MAX} more"})
    return {"errors": described}


def format_path(path: Path) -> str:
    """Return a path in JavaScript's notation."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


def key_of(item: Item) -> Key:
    """Return the key of an item."""
    return item["pk"], item["sk"]


def is_address(key: Key) -> bool:
    """Return whether the key belongs to an account's entry for an email address."""
    return key[1].startswith("EMAIL#")


def to_wire_key(key: Key) -> Item:
    """Return a key in DynamoDB's wire format."""
    return to_wire({"pk": key[0], "sk": key[1]})


def find_keys(account: Account) -> Iterator[Key]:
    """Yield the keys of all entries of the account."""
    pages = client.get_paginator("query").paginate(
        TableName=DIRECTORY_TABLE,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": f"ACCOUNT#{account.id}"}},
        ProjectionExpression="pk, sk",
        ConsistentRead=True,
    )
    for page in pages:
        for item in page["Items"]:
            yield item["pk"]["S"], item["sk"]["S"]


def find_owners(document: Document) -> dict[str, str]:
    """Return the owners of the document's addresses: a dict from the key of the address to the id of the account.

    Omit addresses without an owner.
    """
    keys = {address_key(user) for account in document.accounts for user in account.users}
    owners: dict[str, str] = {}
    for batch in batched(sorted(keys), 100, strict=False):  # as many as BatchGetItem takes
        pending_keys: dict[str, Any] = {
            DIRECTORY_TABLE: {
                "Keys": [to_wire_key((key, "SIGN_IN")) for key in batch],
                "ProjectionExpression": "pk, accountId",
                "ConsistentRead": True,
            }
        }
        tries = limit_tries()
        while pending_keys:
            next(tries)
            response = client.batch_get_item(RequestItems=pending_keys)
            owners |= {
                item["pk"]["S"]: item["accountId"]["S"] for item in response["Responses"].get(DIRECTORY_TABLE, [])
            }
            pending_keys = dict(response["UnprocessedKeys"])
    return owners


def find_taken_addresses(document: Document, owners: dict[str, str]) -> list[Error]:
    """Return an error for each address that belongs to an account outside the document."""
    named = {account.id for account in document.accounts}
    return [
        (("accounts", index, "users", number, "email"), "belongs to another account")
        for index, account in enumerate(document.accounts)
        for number, user in enumerate(account.users)
        if owners.get(address_key(user), account.id) not in named
    ]


def find_large_claims(document: Document) -> list[Error]:
    """Return an error for each user whose tokens would be too large for a header of a request."""
    return [
        (("accounts", index, "users", number), "ids and names are too long together for the claims of a token")
        for index, account in enumerate(document.accounts)
        for number, user in enumerate(account.users)
        if len(json.dumps(make_sign_in(account, user))) > CLAIMS_MAX
    ]


def write(requests: list[Any]) -> None:
    """Put and delete items in batches, and retry those that DynamoDB returns unprocessed."""
    for batch in batched(requests, 25, strict=False):  # as many as BatchWriteItem takes
        pending_items: dict[str, Any] = {DIRECTORY_TABLE: list(batch)}
        tries = limit_tries()
        while pending_items:
            next(tries)
            pending_items = dict(client.batch_write_item(RequestItems=pending_items)["UnprocessedItems"])


def remove_address(key: Key) -> list[Any]:
    """Return the writes that delete an address: entry and sign-in. They fail if another account has the sign-in."""
    account_id = key[0].removeprefix("ACCOUNT#")
    sign_in = {
        "TableName": DIRECTORY_TABLE,
        "Key": to_wire_key((key[1], "SIGN_IN")),
        "ConditionExpression": "attribute_not_exists(pk) OR accountId = :account",
        "ExpressionAttributeValues": {":account": {"S": account_id}},
    }
    return [{"Delete": sign_in}, {"Delete": {"TableName": DIRECTORY_TABLE, "Key": to_wire_key(key)}}]


def put_address(entry: Item, sign_in: Item, owner: str | None) -> list[Any]:
    """Return the writes that give an account an address: entry and sign-in. Delete the entry of the previous owner.

    The writes succeed if the address is free, or belongs to `owner` or to this account. Otherwise they fail.
    """
    account_id = sign_in["accountId"]
    put = {
        "TableName": DIRECTORY_TABLE,
        "Item": to_wire(sign_in),
        "ConditionExpression": "attribute_not_exists(pk) OR accountId IN (:before, :after)",
        "ExpressionAttributeValues": {":before": {"S": owner or account_id}, ":after": {"S": account_id}},
    }
    writes: list[Any] = [{"Put": put}, {"Put": {"TableName": DIRECTORY_TABLE, "Item": to_wire(entry)}}]
    if owner and owner != account_id:
        writes.append({"Delete": {"TableName": DIRECTORY_TABLE, "Key": to_wire_key((f"ACCOUNT#{owner}", entry["sk"]))}})
    return writes


def transact(groups: list[list[Any]]) -> None:
    """Write each group as a whole. Retry a transaction that was throttled or conflicted with another write."""
    for batch in batched(groups, 33, strict=False):  # 33 groups of up to 3 writes; TransactWriteItems takes 100
        writes = [write for group in batch for write in group]
        tries = limit_tries()
        while True:
            next(tries)
            try:
                client.transact_write_items(TransactItems=writes)
                break
            except client.exceptions.TransactionCanceledException as error:
                reasons = {reason.get("Code", "None") for reason in error.response["CancellationReasons"]}
                if not reasons <= TRANSIENT | {"None"}:
                    logger.exception("A transaction of addresses was cancelled")
                    raise


def limit_tries() -> Iterator[int]:
    """Yield the numbers of attempts with back-off. Raise TimeoutError after the last one."""
    yield from attempts(10, longest_pause=30)
    raise TimeoutError("DynamoDB did not complete the import: run it again")
