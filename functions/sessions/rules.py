"""The rules of a new session. Pure: no clock, no randomness, no I/O; they import the models and nothing else."""

from datetime import datetime

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


def check(request: NewSession, caller: Caller, found: References) -> list[FieldError]:
    """What one valid field forbids another to say, and what the account does not have. Empty when all is well."""
    errors = []
    if request.with_address and request.channel not in {None, FlowChannels.CHAT}:
        errors.append(FieldError("NotAllowed", "withAddress", "is for Chat sessions only"))
    if request.start_session and request.call_state is SessionCallState.DISCONNECTED:
        errors.append(FieldError("NotAllowed", "startSession", "a Disconnected session cannot be started"))
    if request.customer_id and not found.customer:
        errors.append(FieldError("NotFound", "customerId", "is not a customer of the account"))
    if request.parent_session_id and not found.has_parent:
        errors.append(FieldError("NotFound", "parentSessionId", "is not a session of the account"))
    if request.with_address and found.correspondents is None:
        errors.append(FieldError("NotFound", "withAddress", "is not a user or a team of the account"))
    if request.from_phone_number and not found.has_caller_id:
        errors.append(FieldError("NotFound", "fromPhoneNumber", "is not a caller ID of the account"))
    for index, address in enumerate(request.member_email_addresses):
        if address.lower() not in found.people:
            name = f"memberEmailAddresses[{index}]"
            errors.append(FieldError("NotFound", name, "is not the address of a user of the account"))
    if len(gather_people(request, caller, found)) > MEMBERS_MAX:
        errors.append(FieldError("TooMany", "memberEmailAddresses", f"a session has at most {MEMBERS_MAX} members"))
    return errors


def gather_people(request: NewSession, caller: Caller, found: References) -> list[Person]:
    """Who takes part, each once: the creator, then whom the chat is with, then the addresses in their order."""
    addressed = [found.people.get(address.lower()) for address in request.member_email_addresses]
    others = [person for person in [*(found.correspondents or ()), *addressed] if person]
    # The token tells who the creator is, but not their picture: that is known if the request names them as well.
    picture = next((person.avatar_url for person in others if person.user_id == caller.user_id), None)
    creator = Person(caller.user_id, caller.name or caller.email or caller.user_id, caller.endpoint_id, picture)
    each_once: dict[str, Person] = {}
    for person in [creator, *others]:
        each_once.setdefault(person.user_id, person)
    return list(each_once.values())


def create_session(
    request: NewSession, caller: Caller, found: References, session_id: str, now: datetime
) -> SessionInfo:
    """The session that a request which passed `check` asks for: the documented defaults and what follows from them.

    `now` is in UTC. What the request says is taken over as it was sent.
    """
    date = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    direction = request.direction or SessionDirections.OUTGOING
    call_state = request.call_state or SessionCallState.CONNECTED
    ended = call_state is SessionCallState.DISCONNECTED
    creator, *others = gather_people(request, caller, found)

    log = [SessionLogInfo(date=date, message=f"Session created by {creator.name}")]
    if request.start_session:
        log.append(SessionLogInfo(date=date, message="Flow start requested"))

    creator_state = SessionMemberCallState.NONE if ended else SessionMemberCallState.CONNECTED
    others_state = SessionMemberCallState.RINGING if request.start_session else SessionMemberCallState.NONE
    creator_role, others_role = SessionMemberRoles.CALLER, SessionMemberRoles.AGENT
    if direction is SessionDirections.INCOMING:
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
        channel=request.channel or (FlowChannels.CHAT if request.with_address else None),
        direction=direction,
        call_state=call_state,
        dial_state=SessionDialState.ACTIVE if request.start_session else SessionDialState.NONE,
        queue_state=SessionQueueStates.NONE,
        hold_reason=SessionHoldReasons.NONE,
        was_missed=False,
        ended=ended,
        date_completed=date if ended else None,
        # An empty address is an address as it was sent; only an absent one takes the default.
        from_address=caller.email if request.from_address is None else request.from_address,
        from_name=request.from_name,
        from_phone_number=request.from_phone_number,
        to_address=request.to_address,
        destination=request.destination,
        display_name=request.display_name,
        customer_id=request.customer_id,
        customer_name=found.customer[-1].name if found.customer else None,
        customer_breadcrumb=list(found.customer),
        log=log,
        members=[
            make_member(creator, creator_state, creator_role),
            *(make_member(person, others_state, others_role) for person in others),
        ],
    )


def make_member(person: Person, call_state: SessionMemberCallState, role: SessionMemberRoles) -> SessionMemberInfo:
    """A member who is there from the start."""
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
