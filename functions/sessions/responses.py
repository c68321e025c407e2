"""HTTP responses of the API: JSON or JSONP, success or error."""

import re
from typing import Any, Literal, NamedTuple

from pydantic_core import to_json

from sessions.errors import ERRORS, ServiceError
from sessions.models import SessionInfo

FIELD_ERRORS_MAX = 100  # of one response
FIXED_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class Reply(NamedTuple):
    """The result of an operation that succeeded."""

    outcome: Literal["Created", "Replayed", "Found", "Ended", "AlreadyEnded"]
    """Replayed: an earlier request with the same Idempotency-Key created the session."""
    session: SessionInfo


def respond(reply: Reply, callback: str | None = None) -> dict[str, Any]:
    """Return a success response in the format of API Gateway: the session, or 204 without a body for an end."""
    if reply.outcome in {"Ended", "AlreadyEnded"}:
        return {"statusCode": 204, "headers": FIXED_HEADERS, "body": ""}
    headers = {"Idempotent-Replayed": "true"} if reply.outcome == "Replayed" else {}
    return make_response(200, reply.session.model_dump_json(exclude_none=True), callback, headers)


def respond_error(error: ServiceError, request_id: str, callback: str | None = None) -> dict[str, Any]:
    """Return the response for an error: a `responseStatus` in camelCase, as ServiceStack clients read it."""
    message = error.message or ERRORS[error.code].message
    listed, omitted = error.errors[:FIELD_ERRORS_MAX], error.errors[FIELD_ERRORS_MAX:]
    if omitted:
        message += f" {len(omitted)} more field errors are not listed."
    errors = [{"errorCode": each.code, "fieldName": each.field, "message": each.message} for each in listed]
    status = {"errorCode": error.code, "message": message, "errors": errors, "meta": {"requestId": request_id}}
    headers = {"Retry-After": "1"} if error.code == "ServiceUnavailable" else {}
    return make_response(error.status, to_json({"responseStatus": status}).decode(), callback, headers)


def make_response(status: int, json: str, callback: str | None, headers: dict[str, str]) -> dict[str, Any]:
    """Return a response with a JSON body. With a callback, the body is JavaScript that calls the callback (JSONP)."""
    content_type = {"Content-Type": "application/javascript" if callback else "application/json"}
    body = f"{callback}({escape_script(json)})" if callback else json
    return {"statusCode": status, "headers": content_type | FIXED_HEADERS | headers, "body": body}


def escape_script(json: str) -> str:
    r"""Return the same JSON in ASCII and without `<`, so that any script element can contain it.

    Characters outside ASCII occur only in strings. There \uXXXX stands for a UTF-16 code unit (RFC 8259, section 7).
    """
    return re.sub(
        r"[<\x80-\U0010ffff]",
        lambda match: re.sub("....", r"\\u\g<0>", match[0].encode("utf-16-be").hex()),
        json,
    )
