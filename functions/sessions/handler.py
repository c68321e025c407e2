"""Lambda entry point of the API. Every route of the template leads to `handler`."""

import os
import time
from collections.abc import Callable
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics.provider import cold_start
from aws_lambda_powertools.utilities.typing import LambdaContext

from aws.client import warm_up
from sessions import store
from sessions.authentication import authenticate
from sessions.create_session import create_session
from sessions.end_session import end_session
from sessions.errors import ERRORS, ServiceError
from sessions.get_session import get_session
from sessions.negotiation import check_acceptable, read_callback
from sessions.references import Caller
from sessions.responses import Reply, respond, respond_error

# The routes of the template: for each operation its main route, then the aliases that ServiceStack clients choose.
OPERATIONS: dict[str, Callable[[dict[str, Any], Caller], Reply]] = {
    "POST /sessions": create_session,
    "POST /sessions.json": create_session,
    "POST /api/NewSession": create_session,
    "POST /api/NewSession.json": create_session,
    "POST /json/reply/NewSession": create_session,
    "GET /sessions/{sessionId}": get_session,
    "GET /api/GetSession": get_session,
    "GET /api/GetSession.json": get_session,
    "GET /json/reply/GetSession": get_session,
    "DELETE /sessions/{sessionId}": end_session,
    "DELETE /api/EndSession": end_session,
    "DELETE /api/EndSession.json": end_session,
    "DELETE /json/reply/EndSession": end_session,
}

# Without the location, which would be the same in each INFO line, and without an attempt to parse each message as JSON.
# docs/decisions.md has the figures.
logger = Logger(location=None, json_deserializer=str)
metrics = Metrics(namespace=os.environ["POWERTOOLS_METRICS_NAMESPACE"])
warm_up(store.client, store.SESSIONS_TABLE)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return the response to a request: an HTTP API event (payload 2.0). An exception becomes a response, too.

    Log one INFO line with ids, outcome and milliseconds. The line is also a metric, except for Found and AlreadyEnded.
    A status of 500 or more logs an ERROR line with the traceback first. The lines contain no values of the request or
    the session, except ids and the channel.
    """
    started = time.perf_counter()
    if cold_start.is_cold_start:
        cold_start.is_cold_start = False
        metrics.provider.add_cold_start_metric(context)
    request_id = (event.get("requestContext") or {}).get("requestId") or context.aws_request_id
    log_fields: dict[str, Any] = {"request_id": request_id}
    outcome: str
    callback, channel = None, None
    try:
        callback = read_callback(event)
        check_acceptable(event)
        caller = authenticate(event)
        log_fields["account_id"] = caller.account_id
        reply = OPERATIONS[event["routeKey"]](event, caller)
        outcome, channel = reply.outcome, reply.session.channel
        log_fields["session_id"] = reply.session.id
        response = respond(reply, callback)
    except ServiceError as error:
        log_fields |= {"session_id": error.session_id} if error.session_id else {}
        outcome, response = error.code, respond_error(error, request_id, callback)
        if error.status >= 500:
            logger.exception("Request failed", extra=log_fields)
    except Exception:
        outcome = "InternalServerError"
        response = respond_error(ServiceError(outcome), request_id, callback)
        logger.exception("Unexpected error", extra=log_fields)
    milliseconds = round((time.perf_counter() - started) * 1000, 1)
    log_fields |= {"status": response["statusCode"], "milliseconds": milliseconds}
    logger.info(outcome, extra=log_fields | make_metric(outcome, channel))
    return response


def make_metric(outcome: str, channel: str | None) -> dict[str, Any]:
    """Return the fields that make a log line a metric of CloudWatch (embedded metric format).

    Return no fields for Found and AlreadyEnded.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    if outcome in ERRORS:
        name, dimensions = "ErrorResponses", {"errorCode": outcome}
    elif outcome in {"Created", "Ended"}:
        name, dimensions = f"Sessions{outcome}", {"channel": channel or "None"}
    elif outcome == "Replayed":
        name, dimensions = "Replays", {}
    else:
        return {}
    count = {name: {"Unit": "Count", "Value": 1}}
    return dict(metrics.serialize_metric_set(count, {"service": logger.service} | dimensions))
