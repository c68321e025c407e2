"""The baseline: boto3 and the standard library. It validates and logs nothing, and writes the wire format by hand."""

import json
import os
import uuid
from datetime import UTC, datetime
from typing import Any

import boto3

TABLE = os.environ["SESSIONS_TABLE"]
DIRECTORY = os.environ["DIRECTORY_TABLE"]
client = boto3.client("dynamodb")

type Wire = dict[str, dict[str, Any]]


def read_entries(account_id: str, keys: list[str]) -> dict[str, Wire]:
    """Return the directory's entries by their sort keys."""
    partition = {"S": f"ACCOUNT#{account_id}"}
    response = client.batch_get_item(
        RequestItems={DIRECTORY: {"Keys": [{"pk": partition, "sk": {"S": key}} for key in keys]}}
    )
    return {entry["sk"]["S"]: entry for entry in response["Responses"][DIRECTORY]}


def handler(event: dict[str, Any], _: object) -> dict[str, Any]:
    body = json.loads(event["body"])
    claims = event["requestContext"]["authorizer"]["jwt"]["claims"]
    texts = {name: value for name, value in body.items() if isinstance(value, str)}
    stored: Wire = {}  # attributes that the reply does not have
    people: list[Wire] = []
    breadcrumb: list[dict[str, str]] = []
    if "customerId" in body:  # a full create: with a customer, a team and members
        kind, _, name = body["withAddress"].partition(":")
        customer, team = f"CUSTOMER#{body['customerId']}", f"{kind.upper()}#{name}"
        addresses = [f"EMAIL#{address}" for address in body["memberEmailAddresses"]]
        entries = read_entries(claims["account_id"], [customer, team, *addresses])
        people = [each["M"] for each in entries[team]["members"]["L"]] + [entries[key] for key in addresses]
        chain = entries[customer]["breadcrumb"]["L"]
        breadcrumb = [{key: each["S"] for key, each in step["M"].items()} for step in chain]
        texts |= {"customerName": breadcrumb[-1]["name"], "channel": "Chat"}
        stored = {
            "withAddress": {"S": texts.pop("withAddress")},
            "memberEmailAddresses": {"L": [{"S": address} for address in body["memberEmailAddresses"]]},
        }
    members = [
        {
            "identity": f"user:{claims['user_id']}",
            "endpointId": claims["endpoint_id"],
            "displayName": claims["name"],
            "callState": "Connected",
            "role": "Caller",
        }
    ]
    members += [
        {
            "identity": f"user:{person['userId']['S']}",
            "endpointId": person["endpointId"]["S"],
            "displayName": person["name"]["S"],
            "callState": "Ringing",
            "role": "Agent",
        }
        for person in people
    ]
    log = [f"Session created by {claims['name']}"]
    if body.get("startSession"):
        log.append("Flow start requested")
    session_id = uuid.uuid4().hex
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    texts |= {
        "id": session_id,
        "dateCreated": now,
        "dateLastModified": now,
        "createdBy": claims["user_id"],
        "lastModifiedBy": claims["user_id"],
        "accountId": claims["account_id"],
        "accountName": claims["account_name"],
        "endpointId": claims["endpoint_id"],
        "endpointName": claims["endpoint_name"],
        "fromAddress": claims["email"],
        "direction": "Outgoing",
        "callState": "Connected",
        "dialState": "Active" if body.get("startSession") else "None",
        "queueState": "None",
        "holdReason": "None",
    }
    client.put_item(
        TableName=TABLE,
        Item={
            "pk": {"S": f"{claims['account_id']}#{session_id}"},
            **{name: {"S": value} for name, value in texts.items()},
            "ended": {"BOOL": False},
            "wasMissed": {"BOOL": False},
            "startSession": {"BOOL": bool(body.get("startSession"))},
            **stored,
            "customerBreadcrumb": {
                "L": [{"M": {key: {"S": value} for key, value in step.items()}} for step in breadcrumb]
            },
            "log": {"L": [{"M": {"date": {"S": now}, "message": {"S": message}}} for message in log]},
            "members": {
                "L": [
                    {
                        "M": {
                            **{name: {"S": value} for name, value in member.items()},
                            "isOriginalMember": {"BOOL": True},
                            "muted": {"BOOL": False},
                            "applicationData": {"M": {}},
                        }
                    }
                    for member in members
                ]
            },
        },
        ConditionExpression="attribute_not_exists(pk)",
    )
    session = texts | {
        "ended": False,
        "wasMissed": False,
        "customerBreadcrumb": breadcrumb,
        "log": [{"date": now, "message": message} for message in log],
        "members": [member | {"isOriginalMember": True, "muted": False, "applicationData": {}} for member in members],
    }
    return {"statusCode": 200, "headers": {"Content-Type": "application/json"}, "body": json.dumps(session)}
