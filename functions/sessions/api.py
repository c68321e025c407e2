"""HTTP: from an API Gateway event (payload 2.0) to its caller, and from an outcome to a response."""

import os
import re
import time
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics.provider import cold_start
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic_core import to_json

from sessions.binding import check_acceptable, read_callback
from sessions.errors import ERRORS, ServiceError
from sessions.models import SessionInfo
from sessions.references import Caller

logger = Logger()
metrics = Metrics(namespace=os.environ["POWERTOOLS_METRICS_NAMESPACE"])

ACCOUNT_MAX = 128
REQUIRED_ROLE = "User"


class Reply(NamedTuple):
    """What an operation has to say when all went well."""

    outcome: Literal["Created", "Replayed", "Found"]
    """Replayed: an earlier request with the same Idempotency-Key has created it."""
    session: SessionInfo


def answer(
    event: dict[str, Any],
    context: LambdaContext,
    operate: Callable[[dict[str, Any], LambdaContext, Caller], Reply],
) -> dict[str, Any]:
    """The response to a request: what `operate` replies to its caller, or the error that it raises.

    Logs one line: outcome, ids and milliseconds, never what the client sent; and the trace of what is not its fault.
    The line is a metric of CloudWatch as well (measure).
    """
    started = time.perf_counter()
    if cold_start.is_cold_start:
        cold_start.is_cold_start = False
        metrics.provider.add_cold_start_metric(context)
    request_id = read_request_id(event, context)
    seen: dict[str, Any] = {"request_id": request_id}  # what the log line tells, as far as it is known
    outcome: str
    callback, channel = None, None
    try:
        callback = read_callback(event)
        check_acceptable(event)
        caller = identify(event)
        seen["account_id"] = caller.account_id
        outcome, session = operate(event, context, caller)
        seen["session_id"], channel = session.id, session.channel
        headers = {"Idempotent-Replayed": "true"} if outcome == "Replayed" else None
        response = respond(200, session.model_dump_json(exclude_none=True), callback, headers)
    except ServiceError as error:
        if error.session_id:
            seen["session_id"] = error.session_id
        outcome, response = error.code, respond_error(error, request_id, callback)
        if error.status >= 500:
            logger.exception("the database failed", extra=seen)
    except Exception:
        outcome = "InternalServerError"
        response = respond_error(ServiceError(outcome), request_id, callback)
        logger.exception("a bug", extra=seen)
    milliseconds = round((time.perf_counter() - started) * 1000, 1)
    seen |= {"status": response["statusCode"], "milliseconds": milliseconds}
    logger.info(outcome, extra=seen | measure(outcome, channel))
    return response


def measure(outcome: str, channel: str | None) -> dict[str, Any]:
    """What makes the log line of a request a metric, too: CloudWatch's embedded metric format.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    if outcome in ERRORS:
        name, dimensions = "Refusals", {"errorCode": outcome}
    elif outcome == "Created":
        name, dimensions = "SessionsCreated", {"channel": channel or "None"}
    elif outcome == "Replayed":
        name, dimensions = "Replays", {}
    else:
        return {}
    count = {name: {"Unit": "Count", "Value": 1}}
    return dict(metrics.serialize_metric_set(count, {"service": logger.service} | dimensions))


def read_request_id(event: dict[str, Any], context: LambdaContext) -> str:
    """The gateway's id of the request: in our logs and errors, and the gateway's own header and access log."""
    return (event.get("requestContext") or {}).get("requestId") or context.aws_request_id


def identify(event: dict[str, Any]) -> Caller:
    """Who is calling, from the claims of the token that the gateway's authorizer verified.

    Fails closed. Raises ServiceError: Unauthorized without claims, Forbidden without the role, a user or an account.
    """
    try:
        claims: dict[str, str] = event["requestContext"]["authorizer"]["jwt"]["claims"]
    except (KeyError, TypeError) as error:
        raise ServiceError("Unauthorized") from error
    account_id = claims.get("account_id", "")
    if REQUIRED_ROLE not in read_roles(claims) or not claims.get("user_id"):
        raise ServiceError("Forbidden")
    if not 0 < len(account_id) <= ACCOUNT_MAX or "#" in account_id:  # which separates account and id in our keys
        raise ServiceError("Forbidden")
    return Caller(
        user_id=claims["user_id"],
        account_id=account_id,
        account_name=claims.get("account_name"),
        name=claims.get("name"),
        email=claims.get("email"),
        endpoint_id=claims.get("endpoint_id"),
        endpoint_name=claims.get("endpoint_name"),
    )


def read_roles(claims: dict[str, str]) -> set[str]:
    """The roles in `cognito:groups` and `roles`.

    HTTP API hands a list over as one string, `[User Admin]`, and a string as it is; a string is one role.
    """
    roles: set[str] = set()
    for claim in ("cognito:groups", "roles"):
        value = claims.get(claim, "")
        roles.update(value[1:-1].split(" ") if value.startswith("[") and value.endswith("]") else [value])
    return roles


def respond(
    status: int, body: str, callback: str | None = None, headers: dict[str, str] | None = None
) -> dict[str, Any]:
    """The response of a Lambda proxy integration. `body` is JSON; with a callback it becomes a call of it (JSONP)."""
    fixed = {
        "Content-Type": "application/javascript" if callback else "application/json",
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    content = f"{callback}({escape_script(body)})" if callback else body
    return {"statusCode": status, "headers": fixed | (headers or {}), "body": content}


def escape_script(json: str) -> str:
    r"""The same JSON, safe inside a script element of any charset: without < and without anything beyond ASCII.

    Both occur in strings only, where \uXXXX stands for a UTF-16 code unit (RFC 8259, 7).
    """
    return re.sub(
        r"[<\x80-\U0010ffff]",
        lambda match: re.sub("....", r"\\u\g<0>", match[0].encode("utf-16-be").hex()),
        json,
    )


def respond_error(error: ServiceError, request_id: str, callback: str | None = None) -> dict[str, Any]:
    """The response for an error, in the shape that ServiceStack clients read: a responseStatus in camelCase."""
    message = error.message or ERRORS[error.code].message
    errors = [{"errorCode": each.code, "fieldName": each.field, "message": each.message} for each in error.errors]
    status = {"errorCode": error.code, "message": message, "errors": errors, "meta": {"requestId": request_id}}
    headers = {"Retry-After": "1"} if error.code == "ServiceUnavailable" else None
    return respond(error.status, to_json({"responseStatus": status}).decode(), callback, headers)
