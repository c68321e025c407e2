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
from sessions.models import Caller, NewSession, SessionInfo, SessionLogInfo, SessionMemberInfo

MEMBERS_MAX = 50


def check(request: NewSession) -> list[FieldError]:
    """What one valid field forbids another to say. Empty when the request makes sense as a whole."""
    errors = []
    if request.with_address and request.channel not in {None, FlowChannels.CHAT}:
        errors.append(FieldError("NotAllowed", "withAddress", "is for Chat sessions only"))
    if request.start_session and request.call_state is SessionCallState.DISCONNECTED:
        errors.append(FieldError("NotAllowed", "startSession", "a Disconnected session cannot be started"))
    if len({address.lower() for address in request.member_email_addresses}) > MEMBERS_MAX:
        errors.append(FieldError("TooMany", "memberEmailAddresses", f"a session has at most {MEMBERS_MAX} members"))
    return errors


def create_session(request: NewSession, caller: Caller, session_id: str, now: datetime) -> SessionInfo:
    """The session that a request which passed `check` asks for: the documented defaults and what follows from them.

    `now` is in UTC. What the request says is taken over as it was sent.
    """
    date = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    direction = request.direction or SessionDirections.OUTGOING
    call_state = request.call_state or SessionCallState.CONNECTED
    ended = call_state is SessionCallState.DISCONNECTED
    name = caller.name or caller.email or caller.user_id

    log = [SessionLogInfo(date=date, message=f"Session created by {name}")]
    if request.start_session:
        log.append(SessionLogInfo(date=date, message="Flow start requested"))

    creator = SessionMemberInfo(
        identity=f"user:{caller.user_id}",
        endpoint_id=caller.endpoint_id,
        display_name=name,
        is_original_member=True,
        application_data={},
        call_state=SessionMemberCallState.NONE if ended else SessionMemberCallState.CONNECTED,
        role=SessionMemberRoles.CALLER if direction is SessionDirections.OUTGOING else SessionMemberRoles.AGENT,
        muted=False,
    )
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
        customer_breadcrumb=[],
        log=log,
        members=[creator],
    )
