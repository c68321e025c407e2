"""Imports directory documents: who and what the accounts have, and who may sign in.

A document is the whole state of each account that it names: what it omits is removed; other accounts are untouched. It
is checked as a whole before anything is written. Every write may be repeated, and the order is such that an import that
was interrupted leaves nobody with more than before or after it, and is completed by running it again:

    1  sign-ins that the document omits are deleted     before the entries that tell which these are
    2  entries that the document omits are deleted
    3  entries are put
    4  sign-ins are put                                 once the account is complete

The sessions bundle reads these items; the template has their layout above the table.
"""

import json
import os
import random
import time
from collections.abc import Iterator
from itertools import batched
from typing import Any

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.parser import ValidationError, parse
from aws_lambda_powertools.utilities.typing import LambdaContext
from boto3.dynamodb.types import TypeSerializer
from botocore.config import Config

from directory.models import Account, Directory, Error, Path, User, find_errors, make_chain

TABLE = os.environ["DIRECTORY_TABLE"]
DOCUMENT_MAX = 5 * 1024 * 1024  # bytes of JSON; Lambda takes 6 MB

client = boto3.client("dynamodb", config=Config(retries={"mode": "standard", "total_max_attempts": 5}))
serialize = TypeSerializer().serialize
logger = Logger()

type Item = dict[str, Any]


def handler(event: dict[str, Any], _: LambdaContext) -> dict[str, Any]:
    """Import the document that the event is.

    Answers {"accounts", "put", "deleted"}, numbers of accounts and items; or {"errors": [{"path", "message"}]} when
    nothing was written. Raises what DynamoDB refuses for good, and when another import took an address meanwhile: then
    run it again.
    """
    if len(json.dumps(event, ensure_ascii=False).encode()) > DOCUMENT_MAX:
        return refuse([((), "the document is larger than 5 MB")])
    try:
        directory = parse(event=event, model=Directory)
    except ValidationError as error:
        return refuse([(detail["loc"], detail["msg"]) for detail in error.errors(include_url=False)])
    owners = find_owners(directory)
    if errors := find_errors(directory) + find_taken_addresses(directory, owners):
        return refuse(errors)

    entries = [entry for account in directory.accounts for entry in make_entries(account)]
    sign_ins = [make_sign_in(account, user) for account in directory.accounts for user in account.users]
    kept = {(entry["pk"], entry["sk"]) for entry in entries}
    omitted = [
        key for account in directory.accounts for key in find_keys(account) if (key["pk"], key["sk"]) not in kept
    ]

    delete_sign_ins(omitted, {sign_in["pk"] for sign_in in sign_ins})
    write([{"DeleteRequest": {"Key": write_item(key)}} for key in omitted])
    write([{"PutRequest": {"Item": write_item(entry)}} for entry in entries])
    put_sign_ins(sign_ins, owners)
    counts = {"accounts": len(directory.accounts), "put": len(entries) + len(sign_ins), "deleted": len(omitted)}
    logger.info("directory imported", extra=counts)
    return counts


def refuse(errors: list[Error]) -> dict[str, Any]:
    """The answer that tells what is wrong where, such as at `accounts[0].teams[1].userIds[2]`."""
    return {"errors": [{"path": format_path(path), "message": message} for path, message in errors]}


def format_path(path: Path) -> str:
    """A place in the document as JavaScript writes it."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


# ----------------------------------------------------------------------------------------------------------- the items


def make_entries(account: Account) -> Iterator[Item]:
    """All that sessions of the account may refer to, each with what a create needs to know of it."""
    pk = f"ACCOUNT#{account.id}"
    yield {"pk": pk, "sk": "ACCOUNT", "id": account.id, "name": account.name}
    people = {user.id: make_person(user) for user in account.users}
    for user in account.users:
        yield {"pk": pk, "sk": f"USER#{user.id}", **people[user.id]}
        yield {"pk": pk, "sk": f"EMAIL#{user.email.lower()}", **people[user.id]}
    for team in account.teams:
        members = [people[user_id] for user_id in team.user_ids]
        yield {"pk": pk, "sk": f"TEAM#{team.id}", "name": team.name, "members": members}
    customers = {customer.id: customer for customer in account.customers}
    for customer in account.customers:
        breadcrumb = [{"id": each.id, "name": each.name} for each in make_chain(customer, customers)]
        yield {"pk": pk, "sk": f"CUSTOMER#{customer.id}", "breadcrumb": breadcrumb}
    for number in account.caller_ids:
        yield {"pk": pk, "sk": f"CALLER_ID#{number}"}


def make_person(user: User) -> Item:
    """A user as a member of a session."""
    person = {"userId": user.id, "name": user.name, "endpointId": user.endpoint_id, "avatarUrl": user.avatar_url}
    return {name: value for name, value in person.items() if value is not None}


def make_sign_in(account: Account, user: User) -> Item:
    """What the claims of a user's tokens are made of (add_claims)."""
    sign_in = {
        "pk": f"EMAIL#{user.email.lower()}",
        "sk": "SIGN_IN",
        "email": user.email,
        "userId": user.id,
        "userName": user.name,
        "accountId": account.id,
        "accountName": account.name,
        "endpointId": user.endpoint_id,
        "endpointName": user.endpoint_name,
    }
    return {name: value for name, value in sign_in.items() if value is not None}


def write_item(item: Item) -> Item:
    """Plain values as DynamoDB's wire types."""
    return {name: serialize(value) for name, value in item.items()}


# ----------------------------------------------------------------------------------------------------- reads and writes


def find_keys(account: Account) -> Iterator[dict[str, str]]:
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
            yield {"pk": item["pk"]["S"], "sk": item["sk"]["S"]}


def find_owners(directory: Directory) -> dict[str, str]:
    """The account that each address of the document belongs to now, by the key of its sign-in; not those of none."""
    keys = {f"EMAIL#{user.email.lower()}" for account in directory.accounts for user in account.users}
    owners: dict[str, str] = {}
    for batch in batched(sorted(keys), 100, strict=False):  # as many as BatchGetItem takes
        wanted: dict[str, Any] = {
            TABLE: {
                "Keys": [write_item({"pk": key, "sk": "SIGN_IN"}) for key in batch],
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
        if owners.get(f"EMAIL#{user.email.lower()}", account.id) not in named
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


def delete_sign_ins(omitted: list[dict[str, str]], kept: set[str]) -> None:
    """Delete the sign-ins whose addresses the account's omitted entries tell, unless the document gives them anew.

    Each only while it is the account's.
    """
    for key in omitted:
        if key["sk"].startswith("EMAIL#") and key["sk"] not in kept:
            try:
                client.delete_item(
                    TableName=TABLE,
                    Key=write_item({"pk": key["sk"], "sk": "SIGN_IN"}),
                    ConditionExpression="accountId = :account",
                    ExpressionAttributeValues={":account": {"S": key["pk"].removeprefix("ACCOUNT#")}},
                )
            except client.exceptions.ConditionalCheckFailedException:
                logger.info("the sign-in is gone already")


def put_sign_ins(sign_ins: list[Item], owners: dict[str, str]) -> None:
    """Put sign-ins, each only while its address is free or belongs to whom it belonged when it was checked."""
    for batch in batched(sign_ins, 100, strict=False):  # as many as TransactWriteItems takes
        puts: list[Any] = [
            {
                "Put": {
                    "TableName": TABLE,
                    "Item": write_item(sign_in),
                    "ConditionExpression": "attribute_not_exists(pk) OR accountId IN (:before, :after)",
                    "ExpressionAttributeValues": {
                        ":before": {"S": owners.get(sign_in["pk"], sign_in["accountId"])},
                        ":after": {"S": sign_in["accountId"]},
                    },
                }
            }
            for sign_in in batch
        ]
        client.transact_write_items(TransactItems=puts)


def back_off() -> Iterator[float]:
    """Seconds to wait before sending again what DynamoDB handed back, ever longer. Ends by raising TimeoutError."""
    for attempt in range(10):
        yield random.uniform(0, 0.05 * 2**attempt)  # noqa: S311 (jitter, no secret)
    raise TimeoutError("DynamoDB keeps handing items back: run the import again")
