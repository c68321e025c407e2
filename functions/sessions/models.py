"""The contract: what a client sends (NewSession) and what it gets back (SessionInfo).

Names, enum spellings and optionality are those of the published API page: camelCase on the wire, snake_case here. Only
`NewSession` meets input that we did not make, so the bounds and formats are there. A missing value is None in Python
and left out on the wire; lists and `applicationData` are always there: generated clients fail without them.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict, StringConstraints
from pydantic.alias_generators import to_camel


class RequestEnum(StrEnum):
    """An enum that a client may send in any casing, as ServiceStack accepted it; replies have the exact spelling."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        return next((member for member in cls if isinstance(value, str) and member.lower() == value.lower()), None)


class FlowChannels(RequestEnum):
    VOICE = "Voice"
    CHAT = "Chat"
    FAX = "Fax"


class SessionDirections(RequestEnum):
    INCOMING = "Incoming"
    OUTGOING = "Outgoing"


class SessionCallState(RequestEnum):
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


# The formats of the request's strings, each with what a client is told when its value does not match. The patterns mean
# the same to Rust (which runs them), ECMA-262 (which OpenAPI prescribes) and Python: no \d, no \p, no look-around.
PLAIN = r"^[^\x00-\x1f\x7f-\x9f]*$"
IDENTIFIER = r"^[^\x00-\x1f\x7f-\x9f]+$"
MEMBER_ADDRESS = r"^(user|team):[^\x00-\x1f\x7f-\x9f]+$"
E164 = r"^\+[1-9][0-9]{1,14}$"
EMAIL = r"^[^\x00-\x20\x7f-\x9f@]+@[^\x00-\x20\x7f-\x9f@]+$"
FORMATS = {
    PLAIN: "must not contain control characters",
    IDENTIFIER: "must not be empty or contain control characters",
    MEMBER_ADDRESS: "must be user:<id> or team:<id>",
    E164: "must be a phone number in E.164 form, such as +15550100001",
    EMAIL: "must be an email address",
}

type Name = Annotated[str, StringConstraints(max_length=256, pattern=PLAIN)]
type Address = Annotated[str, StringConstraints(max_length=320, pattern=PLAIN)]
type Identifier = Annotated[str, StringConstraints(max_length=128, pattern=IDENTIFIER)]
type Destination = Annotated[str, StringConstraints(max_length=512, pattern=PLAIN)]
type MemberAddress = Annotated[str, StringConstraints(max_length=len("user:") + 128, pattern=MEMBER_ADDRESS)]
type PhoneNumber = Annotated[str, StringConstraints(pattern=E164)]
type EmailAddress = Annotated[str, StringConstraints(max_length=320, pattern=EMAIL)]


def read_bool(value: object) -> object:
    """The boolean that "true" or "false" spells, else the value as it is: ServiceStack clients send either."""
    return {"true": True, "false": False}.get(value.lower(), value) if isinstance(value, str) else value


type Flag = Annotated[bool, Strict(), BeforeValidator(read_bool)]


class Model(BaseModel):
    """camelCase on the wire. Unknown keys are ignored, as the contract's server ignored them."""

    # Values are hidden in errors because errors are logged, and values are personal.
    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, serialize_by_alias=True, frozen=True, hide_input_in_errors=True
    )


class NewSession(Model):
    """The request of `POST /sessions`: 14 fields, each optional."""

    display_name: Annotated[Name | None, Field(description="A name to show for the session")] = None
    channel: Annotated[FlowChannels | None, Field(description="The kind of session")] = None
    direction: Annotated[SessionDirections | None, Field(description="Outgoing unless given")] = None
    call_state: Annotated[SessionCallState | None, Field(description="Connected unless given")] = None
    from_address: Annotated[Address | None, Field(description="The caller's email address unless given")] = None
    from_name: Annotated[Name | None, Field(description="Who the session is from")] = None
    to_address: Annotated[Address | None, Field(description="Who the session is to")] = None
    parent_session_id: Annotated[
        Identifier | None, Field(description="The session that this one belongs to, for billing for example")
    ] = None
    customer_id: Annotated[Identifier | None, Field(description="The customer that the session is about")] = None
    with_address: Annotated[
        MemberAddress | None, Field(description="Chat with this user (user:<id>) or team (team:<id>)")
    ] = None
    from_phone_number: Annotated[
        PhoneNumber | None, Field(description="The caller ID to dial out with, one of the account's own")
    ] = None
    destination: Annotated[Destination | None, Field(description="What was dialled, as it was entered")] = None
    member_email_addresses: Annotated[
        list[EmailAddress], Field(max_length=100, description="Users to add as members, by email address")
    ] = []
    start_session: Annotated[
        bool, Strict(), BeforeValidator(read_bool), Field(description="Start the session's flow")
    ] = False


class CustomerBreadcrumb(Model):
    id: str
    name: str


class SessionLogInfo(Model):
    date: str
    message: str


class SessionMemberInfo(Model):
    identity: str
    endpoint_id: str | None = None
    display_name: str | None = None
    is_original_member: bool
    avatar_url: str | None = None
    application_data: dict[str, str] = {}
    call_state: SessionMemberCallState
    role: SessionMemberRoles
    call_sid: str | None = None
    muted: bool = False


class EntityInfo(Model):
    """What every stored object carries. Dates are UTC, ISO 8601 with milliseconds and Z; users are user ids."""

    id: str
    date_created: str
    date_last_modified: str
    created_by: str
    last_modified_by: str


class SessionInfo(EntityInfo):
    """A session as it is stored and as the API replies it."""

    dial_state: SessionDialState
    call_state: SessionCallState
    queue_state: SessionQueueStates
    account_id: str
    account_name: str | None = None
    customer_id: str | None = None
    customer_breadcrumb: list[CustomerBreadcrumb] = []
    customer_name: str | None = None
    endpoint_id: str | None = None
    endpoint_name: str | None = None
    date_completed: str | None = None
    destination: str | None = None
    to_address: str | None = None
    from_address: str | None = None
    from_name: str | None = None
    answered_by_name: str | None = None
    queue_member_id: str | None = None
    channel: FlowChannels | None = None
    ended: bool
    outcome: str | None = None
    call_sid: str | None = None
    console_data: str | None = None
    hold_queue_name: str | None = None
    held_by_user_id: str | None = None
    hold_reason: SessionHoldReasons
    conference_sid: str | None = None
    display_name: str | None = None
    log: list[SessionLogInfo]
    members: list[SessionMemberInfo]
    callback_number: str | None = None
    answered_by_id: str | None = None
    direction: SessionDirections
    from_phone_number: str | None = None
    most_recent_participant_call_sid: str | None = None
    was_missed: bool
    ring_queue_id: str | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling, as the verified token says it. Nothing here ever comes from a request's body or URL."""

    user_id: str
    account_id: str
    account_name: str | None
    name: str | None
    email: str | None
    endpoint_id: str | None
    endpoint_name: str | None
