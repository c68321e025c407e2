"""The contract: the request (NewSession) and the response (SessionInfo).

Names, enum spellings and optional fields are those of the published ServiceStack API, in camelCase on the wire. Only
`NewSession` validates input from outside, so only it has bounds and formats. An absent value is None here and omitted
on the wire. Lists and `applicationData` are always present: generated clients fail without them. The text below a
field is its description in the documents.
"""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict, StringConstraints
from pydantic.alias_generators import to_camel

from aws.text import FORBIDDEN, NONEMPTY_TEXT, PHONE_NUMBER, PHONE_NUMBER_MESSAGE, TEXT
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

MEMBER_ADDRESS = f"^(user|team):[^{FORBIDDEN}]+$"
EMAIL = rf"^[^{FORBIDDEN} @]+@[^{FORBIDDEN} @]+$"
# The formats of text in a request, each with the message for text that does not match.
FORMATS = {
    TEXT: "must not contain control characters",
    NONEMPTY_TEXT: "must not contain control characters",  # an empty value means absent
    MEMBER_ADDRESS: "must be user:<id> or team:<id>",
    PHONE_NUMBER: PHONE_NUMBER_MESSAGE,
    EMAIL: "must be an email address",
}

Name = Annotated[str, StringConstraints(max_length=256, pattern=TEXT)]
Address = Annotated[str, StringConstraints(max_length=320, pattern=TEXT)]
Identifier = Annotated[str, StringConstraints(max_length=128, pattern=NONEMPTY_TEXT)]
Destination = Annotated[str, StringConstraints(max_length=512, pattern=TEXT)]
MemberAddress = Annotated[str, StringConstraints(max_length=len("user:") + 128, pattern=MEMBER_ADDRESS)]
PhoneNumber = Annotated[str, StringConstraints(pattern=PHONE_NUMBER)]
EmailAddress = Annotated[str, StringConstraints(max_length=320, pattern=EMAIL)]


def read_bool(value: object) -> object:
    """Return the text "true" and "false" of ServiceStack clients as a boolean. Return other values unchanged."""
    return {"true": True, "false": False}.get(value.lower(), value) if isinstance(value, str) else value


Flag = Annotated[bool, Strict(), BeforeValidator(read_bool)]


# BatchGetItem reads at most 100 items. Up to five are the customer, the caller ID, `withAddress`, the parent and
# the session of the Idempotency-Key. So 95 remain for addresses.
ADDRESSES_MAX = 95


class Model(BaseModel):
    """A model in camelCase on the wire. It ignores unknown keys, as ServiceStack does."""

    # Errors are logged, and values are personal: errors must not contain them.
    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, serialize_by_alias=True, frozen=True, hide_input_in_errors=True
    )


class NewSession(Model):
    """A session to create. Every field is optional, and null means absent."""

    display_name: Name | None = None
    """A display name for the session."""
    channel: FlowChannels | None = None
    """The type of session. With `withAddress` the default is Chat."""
    direction: SessionDirections | None = None
    """The direction, seen from the creator."""
    call_state: SessionCallState | None = None
    """The state of the call. With Disconnected, the session has already ended."""
    from_address: Address | None = None
    """The address that the session comes from. The default is the caller's email address."""
    from_name: Name | None = None
    """The name that belongs to `fromAddress`."""
    to_address: Address | None = None
    """The address that the session goes to."""
    parent_session_id: Identifier | None = None
    """The id of the session to which this one belongs. Both belong to the same account."""
    customer_id: Identifier | None = None
    """A customer of the account."""
    with_address: MemberAddress | None = None
    """The user or team to chat with: `user:<id>` or `team:<id>`."""
    from_phone_number: PhoneNumber | None = None
    """The caller ID for an outgoing call, in E.164 form. It belongs to the account."""
    destination: Destination | None = None
    """The dialled destination, as entered."""
    member_email_addresses: Annotated[list[EmailAddress], Field(max_length=ADDRESSES_MAX)] = []
    """Email addresses of users to add as members. Each user becomes a member once. A session has at most 50 members."""
    start_session: Flag = False
    """Whether to start the session's flow. The text "true" or "false" is accepted as well."""


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
    """True if the member was added when the session was created."""
    avatar_url: str | None = None
    """The picture of the user. For the creator it is present only if `withAddress` or `memberEmailAddresses` also
    refers to the creator, for example through a team.
    """
    application_data: dict[str, str]
    call_state: SessionMemberCallState
    """Creator: Connected. Others: Ringing with `startSession`, else None. In a session that has ended: None."""
    role: SessionMemberRoles
    """Creator: Caller if the session is Outgoing, Agent if Incoming. Others have the opposite role."""
    call_sid: str | None = None
    """Id of the member's call at the telephony provider."""
    muted: bool


class EntityInfo(Model):
    """The base class of the published API. Dates are UTC, in ISO 8601 with milliseconds and Z."""

    id: str
    """32 hex digits: random, or derived from the `Idempotency-Key`."""
    date_created: str
    date_last_modified: str
    created_by: str
    """The id of the user who created the session."""
    last_modified_by: str
    """The id of the user who last changed the session."""


class SessionInfo(EntityInfo):
    """A session, as stored and returned."""

    dial_state: SessionDialState
    """Active with `startSession` until the session ends, else None."""
    call_state: SessionCallState
    queue_state: SessionQueueStates
    """The state of the session in a queue. None in a new session."""
    account_id: str
    """The account of the creator."""
    account_name: str | None = None
    customer_id: str | None = None
    customer_breadcrumb: list[CustomerBreadcrumb]
    """The customer with its ancestors, root first. Empty without a customer."""
    customer_name: str | None = None
    endpoint_id: str | None = None
    """The endpoint of the creator."""
    endpoint_name: str | None = None
    date_completed: str | None = None
    """The time when the session ended."""
    destination: str | None = None
    to_address: str | None = None
    from_address: str | None = None
    """As requested. The default is the caller's email address."""
    from_name: str | None = None
    answered_by_name: str | None = None
    queue_member_id: str | None = None
    """The queue member who received the call."""
    channel: FlowChannels | None = None
    """The type of the session. With `withAddress` the default is Chat."""
    ended: bool
    """Whether `callState` is Disconnected."""
    outcome: str | None = None
    call_sid: str | None = None
    """Id of the call at the telephony provider."""
    console_data: str | None = None
    hold_queue_name: str | None = None
    held_by_user_id: str | None = None
    """The user who put the call on hold."""
    hold_reason: SessionHoldReasons
    conference_sid: str | None = None
    """Id of the conference at the telephony provider."""
    display_name: str | None = None
    log: list[SessionLogInfo]
    """The history of the session, oldest entry first: its creation, the request to start its flow, and its end."""
    members: list[SessionMemberInfo]
    """The members, creator first."""
    callback_number: str | None = None
    answered_by_id: str | None = None
    """The endpoint that answered."""
    direction: SessionDirections
    from_phone_number: str | None = None
    most_recent_participant_call_sid: str | None = None
    """Id of the call of the latest conference participant."""
    was_missed: bool
    """True if nobody answered the call. False in a new session."""
    ring_queue_id: str | None = None
    """The queue that the call rings in."""


class SessionEvent(Model):
    """The fields that the details of all events have. An event is delivered at least once."""

    session: SessionInfo
    """The session, as stored."""
    start_session: bool
    """Whether the create asked to start the flow of the session."""
    parent_session_id: str | None = None
    """The parent session, of the same account."""
    with_address: str | None = None
    """The user or team of the chat: `user:<id>` or `team:<id>`."""
    event_id: str
    """The id of the event. A repeated delivery has the same id, so a consumer can drop the repeat."""


class SessionCreated(SessionEvent):
    """The detail of the event of a new session."""


class SessionEnded(SessionEvent):
    """The detail of the event of an end. A session that was created Disconnected has no such event."""

    ended_by: str
    """The id of the user who ended the session."""
