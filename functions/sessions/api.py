"""HTTP: from an API Gateway event (payload 2.0) to a caller and a request, and from an outcome to a response."""

import re
import time
from base64 import b64decode
from collections.abc import Callable
from typing import Any

import mimeparse
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.parser import ValidationError, parse
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic_core import ErrorDetails, from_json, to_json

from sessions.errors import ERRORS, FieldError, ServiceError
from sessions.models import FORMATS, Caller, NewSession, SessionInfo

logger = Logger()

BODY_MAX = 64 * 1024  # bytes, after base64
ACCOUNT_MAX = 128
REQUIRED_ROLE = "User"
CALLBACK = re.compile(r"(?=.{1,128}$)[A-Za-z_$][A-Za-z0-9_$]*(\.[A-Za-z_$][A-Za-z0-9_$]*)*")

# Keys match in any casing, as the contract's server matched them: .NET clients send PascalCase.
FIELD_NAMES = {field.alias.lower(): field.alias for field in NewSession.model_fields.values() if field.alias}

# What a client is told for each way in which Pydantic refuses a value of NewSession.
FIELD_ERRORS = {
    "enum": ("InvalidEnum", "must be {expected}"),
    "string_pattern_mismatch": ("InvalidFormat", ""),  # FORMATS has the sentence
    "string_too_long": ("TooLong", "must have at most {max_length} characters"),
    "too_long": ("TooMany", "must have at most {max_length} entries"),
    "string_type": ("InvalidType", "must be a string"),
    "bool_type": ("InvalidType", "must be true or false"),
    "list_type": ("InvalidType", "must be a list"),
}


def answer(
    event: dict[str, Any],
    context: LambdaContext,
    operate: Callable[[dict[str, Any], LambdaContext, Caller], SessionInfo],
) -> dict[str, Any]:
    """The response to a request: the session that `operate` returns for its caller, or the error that it raises.

    Logs one line: outcome, ids and milliseconds, never what the client sent; and the trace of what is not its fault.
    """
    started = time.perf_counter()
    request_id = (event.get("requestContext") or {}).get("requestId") or context.aws_request_id
    seen = {"request_id": request_id}  # what the log line tells, as far as it is known
    callback = None
    try:
        callback = read_callback(event)
        check_acceptable(event)
        caller = identify(event)
        seen["account_id"] = caller.account_id
        session = operate(event, context, caller)
        seen["session_id"] = session.id
        outcome, response = "OK", respond(200, session.model_dump_json(exclude_none=True), callback)
    except ServiceError as error:
        outcome, response = error.code, respond_error(error, request_id, callback)
        if error.status >= 500:
            logger.exception("the database failed", extra=seen)
    except Exception:
        outcome = "InternalServerError"
        response = respond_error(ServiceError(outcome), request_id, callback)
        logger.exception("a bug", extra=seen)
    milliseconds = round((time.perf_counter() - started) * 1000, 1)
    logger.info(outcome, extra=seen | {"status": response["statusCode"], "milliseconds": milliseconds})
    return response


def read_callback(event: dict[str, Any]) -> str | None:
    """The function to wrap the reply in (JSONP, `?callback=`), None for plain JSON.

    It is a name or a dotted path of names, so that it can do nothing but be called. Raises ServiceError:
    ValidationException.
    """
    callback: str | None = (event.get("queryStringParameters") or {}).get("callback")
    if callback is not None and not CALLBACK.fullmatch(callback):
        error = FieldError("InvalidFormat", "callback", "must be a JavaScript name, such as myCallback")
        raise ServiceError("ValidationException", errors=[error])
    return callback


def check_acceptable(event: dict[str, Any]) -> None:
    """Raise ServiceError NotAcceptable unless the client takes JSON.

    `?format=` decides; else the path, where `.json` or `/json/` says JSON; else the header Accept, with q-values and
    the most specific range first (RFC 9110, 12.5.1). No Accept, or one that cannot be parsed, takes anything.
    """
    query = event.get("queryStringParameters") or {}
    path = event.get("rawPath", "")
    accept = (event.get("headers") or {}).get("accept", "").lower()
    if query.get("format"):
        acceptable = query["format"].lower() == "json"
    elif path.endswith(".json") or "/json/" in path or not accept.strip():
        acceptable = True
    else:
        offered = ["application/json", "application/javascript"] if "callback" in query else ["application/json"]
        try:
            acceptable = mimeparse.best_match(offered, accept) != ""
        except mimeparse.MimeTypeParseException:
            acceptable = True
    if not acceptable:
        raise ServiceError("NotAcceptable")


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


def read_body(event: dict[str, Any]) -> dict[str, Any]:
    """The JSON object in the body, whatever the Content-Type says; an empty body is an empty object.

    Raises ServiceError: RequestTooLarge, or SerializationException with the place where the JSON breaks.
    """
    body = event.get("body") or ""
    try:
        data = b64decode(body, validate=True) if event.get("isBase64Encoded") else body.encode()
    except ValueError as error:
        raise ServiceError("SerializationException") from error
    if len(data) > BODY_MAX:
        raise ServiceError("RequestTooLarge")
    try:
        content = from_json(data.removeprefix(b"\xef\xbb\xbf").strip() or b"{}", allow_inf_nan=False)
    except ValueError as error:
        message = f"{ERRORS['SerializationException'].message} JSON: {error}."
        raise ServiceError("SerializationException", message) from error
    if not isinstance(content, dict):
        raise ServiceError("SerializationException")
    return content


def bind(body: dict[str, Any]) -> tuple[NewSession, list[FieldError]]:
    """The request in a body, without the fields that are not valid, and an error for each of those.

    So that whatever else there is to say about the valid fields can be said in the same reply.
    """
    fields: dict[str, Any] = {}
    errors: list[FieldError] = []
    for key, value in body.items():
        name = FIELD_NAMES.get(key.lower())
        if name and name in fields:
            errors.append(FieldError("Duplicate", name, "is given twice, in different casings"))
        elif name:
            fields[name] = value
    fields = {name: value for name, value in fields.items() if value is not None}
    try:
        return parse(event=fields, model=NewSession), errors
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
    refused = {detail["loc"][0] for detail in details}
    valid = {name: value for name, value in fields.items() if name not in refused}
    return parse(event=valid, model=NewSession), errors + [describe(detail) for detail in details]


def describe(detail: ErrorDetails) -> FieldError:
    """The field error for one of Pydantic's, with the field's name as the contract spells it and the entry's index."""
    code, template = FIELD_ERRORS[detail["type"]]
    context = detail.get("ctx", {})
    name, *index = detail["loc"]
    field = str(name) + "".join(f"[{position}]" for position in index)
    return FieldError(code, field, FORMATS.get(context.get("pattern", ""), template.format(**context)))


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
