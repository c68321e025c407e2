"""The operation `POST /sessions`, in the order of its steps."""

import secrets
from datetime import UTC, datetime
from typing import Any

from sessions import parsing, rules, store
from sessions.errors import ServiceError
from sessions.idempotency import derive_session_id, is_repeated, make_fingerprint
from sessions.models import NewSession
from sessions.references import Caller
from sessions.responses import Reply
from sessions.store import StoredSession


def create_session(event: dict[str, Any], caller: Caller) -> Reply:
    """Create the session of an HTTP API event.

    If the same request with the same Idempotency-Key created a session earlier, return that session.

    Raise ServiceError: the codes of docs/api.md.
    """
    key, key_errors = parsing.read_idempotency_key(event)
    request, field_errors = parsing.read_request(event)
    errors = key_errors + field_errors
    if key:
        session_id, fingerprint = derive_session_id(caller, key), make_fingerprint(request, caller)
    else:
        session_id, fingerprint = secrets.token_hex(16), None

    references, earlier = store.read_references(caller.account_id, request, session_id if key else None)
    if earlier and not errors:
        return replay(earlier, request, caller)
    errors += rules.check(request, caller, references)
    if errors:
        raise ServiceError("ValidationException", errors=errors)

    session = rules.new_session(request, caller, references, session_id, datetime.now(UTC))
    earlier = store.put_session(session, request, fingerprint)
    return replay(earlier, request, caller) if earlier else Reply("Created", session)


def replay(earlier: StoredSession, request: NewSession, caller: Caller) -> Reply:
    """Return the earlier session as it is now. Raise IdempotencyKeyReused if a different request created it."""
    if not is_repeated(request, caller, earlier.fingerprint, earlier.session.from_address):
        raise ServiceError("IdempotencyKeyReused")
    return Reply("Replayed", earlier.session)
