"""The models and the stored session of the two frameworks. Both use the same."""

import os
import uuid
from datetime import UTC, datetime
from typing import Any, Literal

import boto3
from boto3.dynamodb.types import TypeSerializer
from pydantic import BaseModel, Field

client = boto3.client("dynamodb")
serialize = TypeSerializer().serialize


class NewSession(BaseModel):
    displayName: str | None = Field(None, max_length=256)
    channel: Literal["Voice", "Chat", "Fax"] | None = None
    direction: Literal["Incoming", "Outgoing"] = "Outgoing"
    callState: Literal["Disconnected", "Ringing", "Connected", "Hold", "Passive"] = "Connected"
    fromAddress: str | None = Field(None, max_length=320)
    fromName: str | None = Field(None, max_length=256)
    toAddress: str | None = Field(None, max_length=320)
    parentSessionId: str | None = Field(None, max_length=128)
    customerId: str | None = Field(None, max_length=128)
    withAddress: str | None = Field(None, max_length=133)
    fromPhoneNumber: str | None = Field(None, pattern=r"^\+[1-9][0-9]{1,14}$")
    destination: str | None = Field(None, max_length=512)
    memberEmailAddresses: list[str] = Field(default=[], max_length=95)
    startSession: bool = False


class Breadcrumb(BaseModel):
    id: str
    name: str


class LogEntry(BaseModel):
    date: str
    message: str


class Member(BaseModel):
    identity: str
    endpointId: str
    displayName: str
    isOriginalMember: bool = True
    applicationData: dict[str, str] = {}
    callState: str = "Connected"
    role: str = "Caller"
    muted: bool = False


class Session(BaseModel):
    id: str
    dateCreated: str
    dateLastModified: str
    createdBy: str
    lastModifiedBy: str
    accountId: str
    accountName: str
    endpointId: str
    endpointName: str
    fromAddress: str
    displayName: str | None = None
    channel: str | None = None
    fromName: str | None = None
    toAddress: str | None = None
    destination: str | None = None
    direction: str
    callState: str
    dialState: str
    queueState: str = "None"
    holdReason: str = "None"
    ended: bool
    wasMissed: bool = False
    customerBreadcrumb: list[Breadcrumb] = []
    log: list[LogEntry]
    members: list[Member]


def store(new: NewSession, claims: dict[str, str]) -> Session:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    log = [LogEntry(date=now, message=f"Session created by {claims['name']}")]
    if new.startSession:
        log.append(LogEntry(date=now, message="Flow start requested"))
    session = Session(
        id=uuid.uuid4().hex,
        dateCreated=now,
        dateLastModified=now,
        createdBy=claims["user_id"],
        lastModifiedBy=claims["user_id"],
        accountId=claims["account_id"],
        accountName=claims["account_name"],
        endpointId=claims["endpoint_id"],
        endpointName=claims["endpoint_name"],
        fromAddress=new.fromAddress or claims["email"],
        displayName=new.displayName,
        channel=new.channel,
        fromName=new.fromName,
        toAddress=new.toAddress,
        destination=new.destination,
        direction=new.direction,
        callState=new.callState,
        dialState="Active" if new.startSession else "None",
        ended=new.callState == "Disconnected",
        log=log,
        members=[
            Member(identity=f"user:{claims['user_id']}", endpointId=claims["endpoint_id"], displayName=claims["name"])
        ],
    )
    attributes: dict[str, Any] = session.model_dump(exclude_none=True) | {
        "pk": f"{session.accountId}#{session.id}",
        "startSession": new.startSession,
    }
    client.put_item(
        TableName=os.environ["SESSIONS_TABLE"],
        Item={name: serialize(value) for name, value in attributes.items()},
        ConditionExpression="attribute_not_exists(pk)",
    )
    return session
