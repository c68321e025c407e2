"""The contract: what a client sends (NewSession) and what it gets back (SessionInfo).

Names, enum spellings and optionality are those of the published API page: camelCase on the wire, snake_case here. Only
`NewSession` meets input that we did not make, so the bounds and formats are there. A missing value is None in Python
and left out on the wire; lists and `applicationData` are always there: generated clients fail without them. The
sentence below a field is its description in the OpenAPI document.
"""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict, StringConstraints
from pydantic.alias_generators import to_camel

from sessions.enums import (
    FlowChannels,
    SessionCallState,
    SessionDialState,
    SessionDirections,
    SessionHoldReasons,
    SessionMemberCallState,
    SessionMemberRoles,
    SessionQueueStates,
)

# The formats of the request's strings, each with what a client is told when its value does not match. The patterns mean
# the same to Rust (which runs them), ECMA-262 (which OpenAPI prescribes) and Python: no \d, no \p, no look-around.
# U+FFFE and U+FFFF are no characters, and SQS refuses a message that holds one: the session's flow would never start.
PLAIN = r"^[^\x00-\x1f\x7f-\x9f\ufffe\uffff]*$"
IDENTIFIER = r"^[^\x00-\x1f\x7f-\x9f\ufffe\uffff]+$"
MEMBER_ADDRESS = r"^(user|team):[^\x00-\x1f\x7f-\x9f\ufffe\uffff]+$"
E164 = r"^\+[1-9][0-9]{1,14}$"
EMAIL = r"^[^\x00-\x20\x7f-\x9f\ufffe\uffff@]+@[^\x00-\x20\x7f-\x9f\ufffe\uffff@]+$"
FORMATS = {
    PLAIN: "must not contain control characters",
    IDENTIFIER: "must not be empty or contain control characters",
    MEMBER_ADDRESS: "must be user:<id> or team:<id>",
    E164: "must be a phone number in E.164 form, such as +15550100001",
    EMAIL: "must be an email address",
}

Name = Annotated[str, StringConstraints(max_length=256, pattern=PLAIN)]
Address = Annotated[str, StringConstraints(max_length=320, pattern=PLAIN)]
Identifier = Annotated[str, StringConstraints(max_length=128, pattern=IDENTIFIER)]
Destination = Annotated[str, StringConstraints(max_length=512, pattern=PLAIN)]
MemberAddress = Annotated[str, StringConstraints(max_length=len("user:") + 128, pattern=MEMBER_ADDRESS)]
PhoneNumber = Annotated[str, StringConstraints(pattern=E164)]
EmailAddress = Annotated[str, StringConstraints(max_length=320, pattern=EMAIL)]


def read_bool(value: object) -> object:
    """The boolean that "true" or "false" spells, else the value as it is: ServiceStack clients send either."""
    return {"true": True, "false": False}.get(value.lower(), value) if isinstance(value, str) else value


Flag = Annotated[bool, Strict(), BeforeValidator(read_bool)]


# So many addresses and the other five keys that a create may look up are the 100 that one BatchGetItem takes.
REFERENCES_MAX = 95


class Model(BaseModel):
    """camelCase on the wire. Unknown keys are ignored, as the contract's server ignored them."""

    # Values are hidden in errors because errors are logged, and values are personal.
    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, serialize_by_alias=True, frozen=True, hide_input_in_errors=True
    )


class NewSession(Model):
    """A session to start. Each field is optional, and null means absent."""

    display_name: Name | None = None
    """A name to show for the session."""
    channel: FlowChannels | None = None
    """The kind of session. Chat if `withAddress` is given, else none unless given."""
    direction: SessionDirections | None = None
    """Outgoing unless given."""
    call_state: SessionCallState | None = None
    """Connected unless given. Disconnected records a session that is over."""
    from_address: Address | None = None
    """Who the session is from. The caller's email address unless given."""
    from_name: Name | None = None
    """The name of who the session is from."""
    to_address: Address | None = None
    """Who the session is to."""
    parent_session_id: Identifier | None = None
    """The session of the same account that this one belongs to, for billing for example."""
    customer_id: Identifier | None = None
    """The customer of the account that the session is about."""
    with_address: MemberAddress | None = None
    """Chat with this user, `user:<id>`, or this team, `team:<id>`."""
    from_phone_number: PhoneNumber | None = None
    """The caller ID to dial out with, one of the account's own, in E.164 form."""
    destination: Destination | None = None
    """What was dialled, as it was entered."""
    member_email_addresses: Annotated[list[EmailAddress], Field(max_length=REFERENCES_MAX)] = []
    """Users to add as members, by email address. A session has at most 50 members."""
    start_session: Flag = False
    """Whether to start the session's flow."""


class CustomerBreadcrumb(Model):
    id: str
    name: str


class SessionLogInfo(Model):
    date: str
    message: str


class SessionMemberInfo(Model):
    identity: str
    """`user:<id>`."""
    endpoint_id: str | None = None
    display_name: str | None = None
    is_original_member: bool
    """Whether the member was there from the start."""
    avatar_url: str | None = None
    application_data: dict[str, str]
    call_state: SessionMemberCallState
    role: SessionMemberRoles
    call_sid: str | None = None
    muted: bool


class EntityInfo(Model):
    """What every stored object carries. Dates are UTC, ISO 8601 with milliseconds and Z."""

    id: str
    """32 hex digits."""
    date_created: str
    date_last_modified: str
    created_by: str
    """The id of the user who created it."""
    last_modified_by: str
    """The id of the user who changed it last."""


class SessionInfo(EntityInfo):
    """A session as it is stored and replied. What has no value is left out; lists are always there."""

    dial_state: SessionDialState
    """Active once the session's flow is to start."""
    call_state: SessionCallState
    queue_state: SessionQueueStates
    account_id: str
    """The account of the user who created the session."""
    account_name: str | None = None
    customer_id: str | None = None
    """The customer that the session is about."""
    customer_breadcrumb: list[CustomerBreadcrumb]
    """The customers above it, root first, and the customer itself, last."""
    customer_name: str | None = None
    endpoint_id: str | None = None
    """The endpoint of the user who created the session."""
    endpoint_name: str | None = None
    date_completed: str | None = None
    """When the session ended, if it has."""
    destination: str | None = None
    """What was dialled, as it was entered."""
    to_address: str | None = None
    from_address: str | None = None
    from_name: str | None = None
    answered_by_name: str | None = None
    queue_member_id: str | None = None
    """The member of the queue to whom the call was given."""
    channel: FlowChannels | None = None
    ended: bool
    """Whether `callState` is Disconnected."""
    outcome: str | None = None
    call_sid: str | None = None
    """The telephony provider's id of the call."""
    console_data: str | None = None
    hold_queue_name: str | None = None
    held_by_user_id: str | None = None
    """Who put the call on hold."""
    hold_reason: SessionHoldReasons
    conference_sid: str | None = None
    """The telephony provider's id of the conference."""
    display_name: str | None = None
    log: list[SessionLogInfo]
    """What happened to the session, oldest first."""
    members: list[SessionMemberInfo]
    """Who takes part; the creator first."""
    callback_number: str | None = None
    answered_by_id: str | None = None
    """The endpoint that answered."""
    direction: SessionDirections
    from_phone_number: str | None = None
    """The caller ID that was dialled out with."""
    most_recent_participant_call_sid: str | None = None
    was_missed: bool
    ring_queue_id: str | None = None
    """The queue that the call rings in."""


class SessionCreated(Model):
    """What the event bus tells of a new session: the detail of the event, at least once."""

    session: SessionInfo
    """The session as the API replied it."""
    start_session: bool
    """Whether the session's flow is to start."""
    parent_session_id: str | None = None
    """The session of the same account that this one belongs to."""
    with_address: str | None = None
    """Whom the chat is with: `user:<id>` or `team:<id>`."""
    event_id: str
    """The same whenever the event is sent again, so that a consumer can drop repeats."""
