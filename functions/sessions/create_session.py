"""`POST /sessions`, from top to bottom."""

import secrets
from datetime import UTC, datetime
from typing import Any

from sessions import parsing, rules, store
from sessions.errors import ServiceError
from sessions.idempotency import derive_session_id, make_fingerprint
from sessions.references import Caller
from sessions.responses import Reply
from sessions.store import StoredSession


def create_session(event: dict[str, Any], caller: Caller) -> Reply:
    """Create the session of an HTTP API event, or return the one that the same request created earlier.

    Raise ServiceError: the codes of docs/api.md.
    """
    key = parsing.read_idempotency_key(event)
    request, errors = parsing.parse_request(parsing.read_body(event))
    if key:
        session_id = earlier_id = derive_session_id(caller, key)
        fingerprint = make_fingerprint(request)
    else:
        session_id, earlier_id, fingerprint = secrets.token_hex(16), None, None

    references, earlier = store.read_references(caller.account_id, request, earlier_id)
    if earlier and not errors:
        return replay(earlier, fingerprint)
    errors += rules.check(request, caller, references)
    if errors:
        raise ServiceError("ValidationException", errors=errors)

    session = rules.new_session(request, caller, references, session_id, datetime.now(UTC))
    earlier = store.put_session(session, request, fingerprint)
    return replay(earlier, fingerprint) if earlier else Reply("Created", session)


def replay(earlier: StoredSession, fingerprint: str | None) -> Reply:
    """Return the session as it is now, if the same request created it. Raise ServiceError: IdempotencyKeyReused."""
    if earlier.fingerprint != fingerprint:
        raise ServiceError("IdempotencyKeyReused")
    return Reply("Replayed", earlier.session)
