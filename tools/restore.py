"""Puts back the sessions that a stack's table has lost, from a table that was restored beside it: docs/operations.md.

    usage: restore.py STACK TABLE

What the stack's table has stays as it is, so that this can be repeated, and run while sessions are created.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

THREADS = 16


def restore(stack: str, source: str) -> tuple[int, int]:
    """Copies the items of a table that the stack's sessions table lacks. How many these were, and how many it read."""
    cloudformation = boto3.client("cloudformation")
    resource = cloudformation.describe_stack_resource(StackName=stack, LogicalResourceId="SessionsTable")
    target = resource["StackResourceDetail"]["PhysicalResourceId"]
    dynamodb = boto3.client(
        "dynamodb", config=Config(max_pool_connections=THREADS, retries={"mode": "standard", "total_max_attempts": 10})
    )
    keys = {table: dynamodb.describe_table(TableName=table)["Table"]["KeySchema"] for table in (source, target)}
    if keys[source] != keys[target]:
        raise SystemExit(f"{source} is no table of sessions: its key differs from that of {target}.")

    def put(item: dict[str, Any]) -> bool:
        try:
            dynamodb.put_item(TableName=target, Item=item, ConditionExpression="attribute_not_exists(pk)")
        except dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True

    missing = read = 0
    pages = dynamodb.get_paginator("scan").paginate(TableName=source, ConsistentRead=True)
    with ThreadPoolExecutor(THREADS) as pool:
        for page in pages:
            missing += sum(pool.map(put, page["Items"]))
            read += len(page["Items"])
    return missing, read


def main() -> None:
    if len(sys.argv) != 3 or not all(sys.argv[1:]):
        raise SystemExit("Which table has the sessions? make restore FROM=sessions-restored")
    try:
        missing, read = restore(*sys.argv[1:])
    except (BotoCoreError, ClientError) as error:
        raise SystemExit(f"AWS refused: {error}") from None
    print(f"{missing} of {read} sessions were missing, and are back.")


if __name__ == "__main__":
    main()
