"""`POST /sessions`, from top to bottom as the life of a request."""

import time
import uuid
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from sessions import api, rules, store
from sessions.errors import ServiceError
from sessions.models import SessionInfo

logger = Logger()


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Create the session that an HTTP API event (payload 2.0) asks for. Answers every request; raises nothing.

    Logs one line: outcome, ids and milliseconds; never what the client sent.
    """
    started = time.perf_counter()
    request_id = (event.get("requestContext") or {}).get("requestId") or context.aws_request_id
    seen = {"request_id": request_id}  # what the log line tells, as far as it is known
    callback = None
    try:
        callback = api.read_callback(event)
        session = create_session(event, seen)
        response = api.respond(200, session.model_dump_json(exclude_none=True), callback)
        outcome = "Created"
    except ServiceError as error:
        response, outcome = api.respond_error(error, request_id, callback), error.code
        if error.status >= 500:
            logger.exception("the database failed", extra=seen)
    except Exception:
        logger.exception("a bug", extra=seen)
        outcome = "InternalServerError"
        response = api.respond_error(ServiceError(outcome), request_id, callback)
    milliseconds = round((time.perf_counter() - started) * 1000, 1)
    logger.info(outcome, extra=seen | {"status": response["statusCode"], "milliseconds": milliseconds})
    return response


def create_session(event: dict[str, Any], seen: dict[str, str]) -> SessionInfo:
    """Create the session or raise a ServiceError. Adds the account's and the session's id to `seen`."""
    api.check_acceptable(event)
    caller = api.identify(event)
    seen["account_id"] = caller.account_id

    request, errors = api.bind(api.read_body(event))
    errors += rules.check(request)
    if errors:
        raise ServiceError("ValidationException", errors=errors)

    session = rules.create_session(request, caller, uuid.uuid4().hex, datetime.now(UTC))
    seen["session_id"] = session.id
    store.put_session(session, request)
    return session
