"""The floor of a create that refers to something: the two calls that it needs, and nothing checked."""

import json
import os
import uuid
from datetime import UTC, datetime
from typing import Any

from bare import TABLE, client

DIRECTORY = os.environ["DIRECTORY_TABLE"]


def handler(event: dict[str, Any], _: object) -> dict[str, Any]:
    body = json.loads(event["body"])
    claims = event["requestContext"]["authorizer"]["jwt"]["claims"]
    partition = {"S": f"ACCOUNT#{claims['account_id']}"}
    kind, _, name = body["withAddress"].partition(":")
    customer, correspondent = f"CUSTOMER#{body['customerId']}", f"{kind.upper()}#{name}"
    addresses = [f"EMAIL#{address}" for address in body["memberEmailAddresses"]]
    response = client.batch_get_item(
        RequestItems={
            DIRECTORY: {"Keys": [{"pk": partition, "sk": {"S": key}} for key in [customer, correspondent, *addresses]]}
        }
    )
    entries = {entry["sk"]["S"]: entry for entry in response["Responses"][DIRECTORY]}
    people = [each["M"] for each in entries[correspondent]["members"]["L"]] + [entries[key] for key in addresses]
    breadcrumb = [{key: each["S"] for key, each in step["M"].items()} for step in entries[customer]["breadcrumb"]["L"]]
    creator = {
        "userId": {"S": claims["user_id"]},
        "name": {"S": claims["name"]},
        "endpointId": {"S": claims["endpoint_id"]},
    }
    members = [
        {
            "identity": f"user:{person['userId']['S']}",
            "endpointId": person["endpointId"]["S"],
            "displayName": person["name"]["S"],
            "callState": "Connected" if person is creator else "Ringing",
            "role": "Caller" if person is creator else "Agent",
        }
        for person in [creator, *people]
    ]
    session_id = uuid.uuid4().hex
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    log = [f"Session created by {claims['name']}", "Flow start requested"]
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
        "channel": "Chat",
        "callState": "Connected",
        "dialState": "Active",
        "queueState": "None",
        "holdReason": "None",
        "displayName": body["displayName"],
        "customerId": body["customerId"],
        "customerName": breadcrumb[-1]["name"],
    }
    client.put_item(
        TableName=TABLE,
        Item={
            "pk": {"S": f"{claims['account_id']}#{session_id}"},
            **{key: {"S": value} for key, value in texts.items()},
            "ended": {"BOOL": False},
            "wasMissed": {"BOOL": False},
            "startSession": {"BOOL": True},
            "withAddress": {"S": body["withAddress"]},
            "memberEmailAddresses": {"L": [{"S": address} for address in body["memberEmailAddresses"]]},
            "customerBreadcrumb": {
                "L": [{"M": {key: {"S": value} for key, value in step.items()}} for step in breadcrumb]
            },
            "log": {"L": [{"M": {"date": {"S": now}, "message": {"S": message}}} for message in log]},
            "members": {
                "L": [
                    {
                        "M": {
                            **{key: {"S": value} for key, value in member.items()},
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
