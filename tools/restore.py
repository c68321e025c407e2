"""Copy the sessions that a stack's table lost back from a restored table. docs/operations.md tells when.

    usage: restore.py STACK TABLE

Items of the stack's table stay unchanged, so a restore can be repeated, and can run while clients create sessions.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

THREADS = 16


def restore(stack: str, source: str) -> str:
    """Copy the missing items; return a sentence with their number."""
    stacks = boto3.client("cloudformation")
    resource = stacks.describe_stack_resource(StackName=stack, LogicalResourceId="SessionsTable")
    target = resource["StackResourceDetail"]["PhysicalResourceId"]
    config = Config(max_pool_connections=THREADS, retries={"mode": "standard", "total_max_attempts": 10})
    dynamodb = boto3.client("dynamodb", config=config)
    keys = [dynamodb.describe_table(TableName=table)["Table"]["KeySchema"] for table in (source, target)]
    if keys[0] != keys[1]:
        raise SystemExit(f"{source} is not a table of sessions: its key differs from the key of {target}.")

    def put(item: dict[str, Any]) -> bool:
        try:
            dynamodb.put_item(TableName=target, Item=item, ConditionExpression="attribute_not_exists(pk)")
        except dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True

    missing = read = 0
    with ThreadPoolExecutor(THREADS) as pool:
        for page in dynamodb.get_paginator("scan").paginate(TableName=source, ConsistentRead=True):
            missing += sum(pool.map(put, page["Items"]))
            read += len(page["Items"])
    return f"{missing} of {read} sessions were missing, and are restored."


if __name__ == "__main__":
    if len(sys.argv) != 3 or not all(sys.argv[1:]):
        raise SystemExit("Name the restored table: make restore FROM=sessions-restored")
    try:
        print(restore(*sys.argv[1:]))
    except (BotoCoreError, ClientError) as error:
        raise SystemExit(f"AWS refused: {error}") from None
