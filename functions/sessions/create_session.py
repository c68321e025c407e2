"""`POST /sessions`, from top to bottom as the life of a request."""

import uuid
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from sessions import api, binding, collect_from_now_on, rules, store
from sessions.client import connect
from sessions.errors import ServiceError
from sessions.idempotency import derive_session_id, fingerprint
from sessions.models import NewSession
from sessions.references import Caller, StoredSession

connect(store.client, store.DIRECTORY)
collect_from_now_on()


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Create the session that an HTTP API event (payload 2.0) asks for. Answers every request; raises nothing."""
    return api.answer(event, context, create_session)


def create_session(event: dict[str, Any], context: LambdaContext, caller: Caller) -> api.Reply:
    """Create the session, or reply the one that the same request has created, or raise a ServiceError."""
    remaining = context.get_remaining_time_in_millis
    key = binding.read_idempotency_key(event)
    request, errors = binding.bind(binding.read_body(event))
    session_id = derive_session_id(caller, key) if key else uuid.uuid4().hex

    found = store.find_references(request, caller.account_id, session_id if key else None, remaining)
    if found.existing and not errors:
        return replay(found.existing, request)
    errors += rules.check(request, caller, found)
    if errors:
        raise ServiceError("ValidationException", errors=errors)

    session = rules.create_session(request, caller, found, session_id, datetime.now(UTC))
    request_id = api.read_request_id(event, context)
    existing = store.put_session(session, request, fingerprint(request) if key else None, request_id, remaining)
    return replay(existing, request) if existing else api.Reply("Created", session)


def replay(existing: StoredSession, request: NewSession) -> api.Reply:
    """The session as it is now, if the same request has created it. Raises ServiceError: IdempotencyKeyReused."""
    if existing.fingerprint != fingerprint(request):
        raise ServiceError("IdempotencyKeyReused")
    return api.Reply("Replayed", existing.session)
