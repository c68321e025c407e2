"""The operation `DELETE /sessions/{sessionId}`."""

from datetime import UTC, datetime
from typing import Any

from sessions import parsing, rules, store
from sessions.errors import ServiceError
from sessions.references import Caller
from sessions.responses import Reply


def end_session(event: dict[str, Any], caller: Caller) -> Reply:
    """End a session of the caller's account. A session that has ended stays unchanged.

    The path or the query string has the id of the session. If another request changes the session between the read
    and the update, apply the rules to its new state.

    Raise ServiceError: ValidationException, NotFound or ServiceUnavailable.
    """
    parameters, errors = parsing.read_parameters(event, "sessionId", "callSid")
    if "callSid" in parameters:
        errors.append(parsing.SINGLE_CALL)
    if errors:
        raise ServiceError("ValidationException", errors=errors)

    stored = store.read_session(caller.account_id, parameters["sessionId"])
    if stored.session.ended:
        return Reply("AlreadyEnded", stored.session)
    for _ in store.rounds():
        session = rules.end_session(stored.session, caller, datetime.now(UTC))
        conflict = store.update_session(stored, session)
        if conflict is None:
            return Reply("Ended", session)
        if conflict.session.ended:
            return Reply("AlreadyEnded", conflict.session)
        stored = conflict
    raise ServiceError("ServiceUnavailable", session_id=stored.session.id)
