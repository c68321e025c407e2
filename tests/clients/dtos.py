# ruff: noqa: UP045 (the client's reflection reads Optional)
"""The DTOs of the contract for Python, as ServiceStack's code generator writes them."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Optional

from dataclasses_json import LetterCase, Undefined, dataclass_json
from servicestack import IDelete, IGet, IPost, IReturn, IReturnVoid

camel_case = dataclass_json(letter_case=LetterCase.CAMEL, undefined=Undefined.EXCLUDE)  # type: ignore[call-overload]


class FlowChannels(StrEnum):
    VOICE = "Voice"
    CHAT = "Chat"
    FAX = "Fax"


class SessionDirections(StrEnum):
    INCOMING = "Incoming"
    OUTGOING = "Outgoing"


class SessionCallState(StrEnum):
    DISCONNECTED = "Disconnected"
    RINGING = "Ringing"
    CONNECTED = "Connected"
    HOLD = "Hold"
    PASSIVE = "Passive"


class SessionDialState(StrEnum):
    NONE = "None"
    ACTIVE = "Active"


class SessionQueueStates(StrEnum):
    NONE = "None"
    QUEUED = "Queued"
    RINGING = "Ringing"
    CONNECTED = "Connected"
    HOLD = "Hold"
    DISCONNECTED = "Disconnected"


class SessionHoldReasons(StrEnum):
    NONE = "None"
    TRANSFERRING = "Transferring"


class SessionMemberCallState(StrEnum):
    NONE = "None"
    RINGING = "Ringing"
    CONNECTED = "Connected"
    HOLD = "Hold"


class SessionMemberRoles(StrEnum):
    NONE = "None"
    CALLER = "Caller"
    AGENT = "Agent"
    TRANSFER = "Transfer"


@camel_case
@dataclass
class CustomerBreadcrumb:
    id: Optional[str] = None
    name: Optional[str] = None


@camel_case
@dataclass
class SessionLogInfo:
    date: Optional[str] = None
    message: Optional[str] = None


@camel_case
@dataclass
class SessionMemberInfo:
    identity: Optional[str] = None
    endpoint_id: Optional[str] = None
    display_name: Optional[str] = None
    is_original_member: Optional[bool] = None
    avatar_url: Optional[str] = None
    application_data: dict[str, str] = field(default_factory=dict)
    call_state: Optional[SessionMemberCallState] = None
    role: Optional[SessionMemberRoles] = None
    call_sid: Optional[str] = None
    muted: Optional[bool] = None


@camel_case
@dataclass
class EntityInfo:
    id: Optional[str] = None
    date_created: Optional[str] = None
    date_last_modified: Optional[str] = None
    created_by: Optional[str] = None
    last_modified_by: Optional[str] = None


@camel_case
@dataclass
class SessionInfo(EntityInfo):
    dial_state: Optional[SessionDialState] = None
    call_state: Optional[SessionCallState] = None
    queue_state: Optional[SessionQueueStates] = None
    account_id: Optional[str] = None
    account_name: Optional[str] = None
    customer_id: Optional[str] = None
    customer_breadcrumb: list[CustomerBreadcrumb] = field(default_factory=list)
    customer_name: Optional[str] = None
    endpoint_id: Optional[str] = None
    endpoint_name: Optional[str] = None
    date_completed: Optional[str] = None
    destination: Optional[str] = None
    to_address: Optional[str] = None
    from_address: Optional[str] = None
    from_name: Optional[str] = None
    answered_by_name: Optional[str] = None
    queue_member_id: Optional[str] = None
    channel: Optional[FlowChannels] = None
    ended: Optional[bool] = None
    outcome: Optional[str] = None
    call_sid: Optional[str] = None
    console_data: Optional[str] = None
    hold_queue_name: Optional[str] = None
    held_by_user_id: Optional[str] = None
    hold_reason: Optional[SessionHoldReasons] = None
    conference_sid: Optional[str] = None
    display_name: Optional[str] = None
    log: list[SessionLogInfo] = field(default_factory=list)
    members: list[SessionMemberInfo] = field(default_factory=list)
    callback_number: Optional[str] = None
    answered_by_id: Optional[str] = None
    direction: Optional[SessionDirections] = None
    from_phone_number: Optional[str] = None
    most_recent_participant_call_sid: Optional[str] = None
    was_missed: Optional[bool] = None
    ring_queue_id: Optional[str] = None


@camel_case
@dataclass
class NewSession(IReturn[SessionInfo], IPost):  # type: ignore[misc] # the client has no types
    display_name: Optional[str] = None
    channel: Optional[FlowChannels] = None
    direction: Optional[SessionDirections] = None
    call_state: Optional[SessionCallState] = None
    from_address: Optional[str] = None
    from_name: Optional[str] = None
    to_address: Optional[str] = None
    parent_session_id: Optional[str] = None
    customer_id: Optional[str] = None
    with_address: Optional[str] = None
    from_phone_number: Optional[str] = None
    destination: Optional[str] = None
    member_email_addresses: Optional[list[str]] = field(default_factory=list)
    start_session: Optional[bool] = None


@camel_case
@dataclass
class GetSession(IReturn[SessionInfo], IGet):  # type: ignore[misc] # the client has no types
    session_id: Optional[str] = None


@camel_case
@dataclass
class EndSession(IReturnVoid, IDelete):  # type: ignore[misc] # the client has no types
    session_id: Optional[str] = None
    call_sid: Optional[str] = None


# A request with every field. The demo data has the records that it refers to, except for the parent.
EVERY_FIELD = {
    "displayName": "Zoë ☎",
    "channel": "Chat",
    "direction": "Incoming",
    "callState": "Ringing",
    "fromAddress": "zoë@example.com",
    "fromName": "Zoë 😀",
    "toAddress": "ada@example.com",
    "parentSessionId": "0123456789abcdef0123456789abcdef",
    "customerId": "northwind-paris",
    "withAddress": "user:bob",
    "fromPhoneNumber": "+15550100001",
    "destination": "北京 \u2028 <b>",
    "memberEmailAddresses": ["bob@example.com"],
    "startSession": True,
}
