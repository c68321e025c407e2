"""The operation `GET /sessions/{sessionId}`."""

from typing import Any

from sessions import parsing, store
from sessions.errors import ServiceError
from sessions.references import Caller
from sessions.responses import Reply


def get_session(event: dict[str, Any], caller: Caller) -> Reply:
    """Return a session of the caller's account. The path or the query string has its id.

    Raise ServiceError: ValidationException, NotFound or ServiceUnavailable.
    """
    parameters, errors = parsing.read_parameters(event, "sessionId")
    if errors:
        raise ServiceError("ValidationException", errors=errors)
    return Reply("Found", store.read_session(caller.account_id, parameters["sessionId"]).session)
