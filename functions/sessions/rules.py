"""The rules of a new session and of its end. Pure functions: no clock, no randomness, no I/O."""

from collections.abc import Callable
from datetime import datetime

from aws.text import fold_address
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
from sessions.errors import FieldError
from sessions.models import NewSession, SessionInfo, SessionLogInfo, SessionMemberInfo
from sessions.references import Caller, Person, References

MEMBERS_MAX = 50


# Each rule: the error, and the condition that breaks the rule.
RULES: dict[FieldError, Callable[[NewSession, References], object]] = {
    FieldError("NotAllowed", "withAddress", "is for Chat sessions only"): lambda request, _: (
        request.with_address and request.channel not in {None, FlowChannels.CHAT}
    ),
    FieldError("NotAllowed", "startSession", "a Disconnected session cannot be started"): lambda request, _: (
        request.start_session and request.call_state is SessionCallState.DISCONNECTED
    ),
    FieldError("NotFound", "customerId", "is not a customer of the account"): lambda request, references: (
        request.customer_id and not references.customer
    ),
    FieldError("NotFound", "parentSessionId", "is not a session of the account"): lambda request, references: (
        request.parent_session_id and not references.has_parent
    ),
    FieldError("NotFound", "withAddress", "is not a user or a team of the account"): lambda request, references: (
        request.with_address and references.correspondents is None
    ),
    FieldError("NotFound", "fromPhoneNumber", "is not a caller ID of the account"): lambda request, references: (
        request.from_phone_number and not references.has_caller_id
    ),
}
UNKNOWN_ADDRESS = FieldError("NotFound", "memberEmailAddresses", "is not the address of a user of the account")
TOO_MANY_MEMBERS = FieldError("TooMany", "memberEmailAddresses", f"a session has at most {MEMBERS_MAX} members")


def check(request: NewSession, caller: Caller, references: References) -> list[FieldError]:
    """Return the errors of a request: conflicts of fields, references that the account lacks, too many members."""
    errors = [error for error, is_broken in RULES.items() if is_broken(request, references)]
    for index, address in enumerate(request.member_email_addresses):
        if fold_address(address) not in references.people:
            errors.append(UNKNOWN_ADDRESS._replace(field=f"memberEmailAddresses[{index}]"))
    if len(list_members(request, caller, references)) > MEMBERS_MAX:
        errors.append(TOO_MANY_MEMBERS)
    return errors


def list_members(request: NewSession, caller: Caller, references: References) -> list[Person]:
    """Return the members, each once: the creator, the users of `withAddress`, then those of the email addresses."""
    addressed = [references.people.get(fold_address(address)) for address in request.member_email_addresses]
    others = [person for person in [*(references.correspondents or ()), *addressed] if person]
    # The token does not contain the creator's picture. It is known only if the request refers to the creator as well.
    picture = next((person.avatar_url for person in others if person.user_id == caller.user_id), None)
    creator = Person(caller.user_id, name_caller(caller), caller.endpoint_id, picture)
    by_id: dict[str, Person] = {}
    for person in [creator, *others]:
        by_id.setdefault(person.user_id, person)
    return list(by_id.values())


def apply_defaults(request: NewSession, caller: Caller) -> NewSession:
    """Return the request with the documented defaults in its absent fields."""
    defaults = {
        "direction": SessionDirections.OUTGOING,
        "call_state": SessionCallState.CONNECTED,
        "channel": FlowChannels.CHAT if request.with_address else None,
        "from_address": caller.email,  # the default of an absent address; an empty address stays empty
    }
    return request.model_copy(
        update={name: value for name, value in defaults.items() if getattr(request, name) is None}
    )


def new_session(
    request: NewSession, caller: Caller, references: References, session_id: str, now: datetime
) -> SessionInfo:
    """Return the session of a request that passed `check`: its fields, the documented defaults and derived fields.

    `now` is in UTC.
    """
    date = format_date(now)
    request = apply_defaults(request, caller)
    ended = request.call_state is SessionCallState.DISCONNECTED
    creator, *others = list_members(request, caller, references)

    log = [SessionLogInfo(date=date, message=f"Session created by {creator.name}")]
    if request.start_session:
        log.append(SessionLogInfo(date=date, message="Flow start requested"))

    creator_state = SessionMemberCallState.NONE if ended else SessionMemberCallState.CONNECTED
    others_state = SessionMemberCallState.RINGING if request.start_session else SessionMemberCallState.NONE
    creator_role, others_role = SessionMemberRoles.CALLER, SessionMemberRoles.AGENT
    if request.direction is SessionDirections.INCOMING:
        creator_role, others_role = others_role, creator_role

    return SessionInfo(
        id=session_id,
        date_created=date,
        date_last_modified=date,
        created_by=caller.user_id,
        last_modified_by=caller.user_id,
        account_id=caller.account_id,
        account_name=caller.account_name,
        endpoint_id=caller.endpoint_id,
        endpoint_name=caller.endpoint_name,
        channel=request.channel,
        direction=request.direction,
        call_state=request.call_state,
        dial_state=SessionDialState.ACTIVE if request.start_session else SessionDialState.NONE,
        queue_state=SessionQueueStates.NONE,
        hold_reason=SessionHoldReasons.NONE,
        was_missed=False,
        ended=ended,
        date_completed=date if ended else None,
        from_address=request.from_address,
        from_name=request.from_name,
        from_phone_number=request.from_phone_number,
        to_address=request.to_address,
        destination=request.destination,
        display_name=request.display_name,
        customer_id=request.customer_id,
        customer_name=references.customer[-1].name if references.customer else None,
        customer_breadcrumb=list(references.customer),
        log=log,
        members=[
            make_member(creator, creator_state, creator_role),
            *(make_member(person, others_state, others_role) for person in others),
        ],
    )


def make_member(person: Person, call_state: SessionMemberCallState, role: SessionMemberRoles) -> SessionMemberInfo:
    """Return a member of a new session."""
    return SessionMemberInfo(
        identity=f"user:{person.user_id}",
        endpoint_id=person.endpoint_id,
        display_name=person.name,
        is_original_member=True,
        avatar_url=person.avatar_url,
        application_data={},
        call_state=call_state,
        role=role,
        muted=False,
    )


def end_session(session: SessionInfo, caller: Caller, now: datetime) -> SessionInfo:
    """Return the session as it is after the caller ended it. `now` is in UTC."""
    date = format_date(now)
    return session.model_copy(
        update={
            "date_last_modified": date,
            "last_modified_by": caller.user_id,
            "date_completed": date,
            "ended": True,
            "call_state": SessionCallState.DISCONNECTED,
            "dial_state": SessionDialState.NONE,
            "queue_state": SessionQueueStates.NONE,
            "hold_reason": SessionHoldReasons.NONE,
            "log": [*session.log, SessionLogInfo(date=date, message=f"Session ended by {name_caller(caller)}")],
            "members": [
                member.model_copy(update={"call_state": SessionMemberCallState.NONE}) for member in session.members
            ],
        }
    )


def name_caller(caller: Caller) -> str:
    """Return the name of the caller; without one, the email address or the id."""
    return caller.name or caller.email or caller.user_id


def format_date(now: datetime) -> str:
    """Return a time in UTC as the contract writes it: ISO 8601 with milliseconds and Z."""
    return now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
