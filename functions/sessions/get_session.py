"""`GET /sessions/{sessionId}`."""

from typing import Any

from sessions import store
from sessions.references import Caller
from sessions.responses import Reply


def get_session(event: dict[str, Any], caller: Caller) -> Reply:
    """Return the session of the caller's account that the path names. Raise ServiceError: NotFound, ServiceUnavailable.

    The path parameter may end with `.json`.
    """
    session_id: str = event["pathParameters"]["sessionId"]
    return Reply("Found", store.read_session(caller.account_id, session_id.removesuffix(".json")))
