"""`POST /sessions`, from top to bottom as the life of a request."""

import uuid
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from sessions import api, rules, store
from sessions.errors import ServiceError
from sessions.models import Caller, SessionInfo


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Create the session that an HTTP API event (payload 2.0) asks for. Answers every request; raises nothing."""
    return api.answer(event, context, create_session)


def create_session(event: dict[str, Any], context: LambdaContext, caller: Caller) -> SessionInfo:
    """Create the session or raise a ServiceError."""
    request, errors = api.bind(api.read_body(event))
    found = store.find_references(request, caller.account_id, context.get_remaining_time_in_millis)
    errors += rules.check(request, caller, found)
    if errors:
        raise ServiceError("ValidationException", errors=errors)

    session = rules.create_session(request, caller, found, uuid.uuid4().hex, datetime.now(UTC))
    store.put_session(session, request)
    return session
