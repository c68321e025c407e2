"""The floor: boto3 and the standard library, nothing checked, the item written in DynamoDB's wire types by hand."""

import json
import os
import uuid
from datetime import UTC, datetime
from typing import Any

import boto3

TABLE = os.environ["SESSIONS_TABLE"]
client = boto3.client("dynamodb")


def handler(event: dict[str, Any], _: object) -> dict[str, Any]:
    body = json.loads(event["body"])
    claims = event["requestContext"]["authorizer"]["jwt"]["claims"]
    session_id = uuid.uuid4().hex
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    log = [f"Session created by {claims['name']}"]
    if body.get("startSession"):
        log.append("Flow start requested")
    member = {
        "identity": f"user:{claims['user_id']}",
        "endpointId": claims["endpoint_id"],
        "displayName": claims["name"],
        "callState": "Connected",
        "role": "Caller",
    }
    texts = {
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
        **{name: value for name, value in body.items() if isinstance(value, str)},
    }
    client.put_item(
        TableName=TABLE,
        Item={
            "pk": {"S": f"{claims['account_id']}#{session_id}"},
            **{name: {"S": value} for name, value in texts.items()},
            "ended": {"BOOL": False},
            "wasMissed": {"BOOL": False},
            "startSession": {"BOOL": bool(body.get("startSession"))},
            "customerBreadcrumb": {"L": []},
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
                ]
            },
        },
        ConditionExpression="attribute_not_exists(pk)",
    )
    session = texts | {
        "ended": False,
        "wasMissed": False,
        "customerBreadcrumb": [],
        "log": [{"date": now, "message": message} for message in log],
        "members": [member | {"isOriginalMember": True, "muted": False, "applicationData": {}}],
    }
    return {"statusCode": 200, "headers": {"Content-Type": "application/json"}, "body": json.dumps(session)}
