"""Negotiation and binding: how a client wants its reply, and what it asks for, from an event of API Gateway."""

import re
from base64 import b64decode
from typing import Any

import mimeparse
from aws_lambda_powertools.utilities.parser import ValidationError, parse
from pydantic_core import ErrorDetails, from_json

from sessions.errors import ERRORS, FieldError, ServiceError
from sessions.models import FORMATS, NewSession

BODY_MAX = 64 * 1024  # bytes, after base64
IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,255}")
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
    elif path.endswith(".json") or "/json/" in path or accept.strip() in {"", "*/*", "application/json"}:
        acceptable = True
    else:
        offered = ["application/json", "application/javascript"] if "callback" in query else ["application/json"]
        try:
            acceptable = mimeparse.best_match(offered, accept) != ""
        except mimeparse.MimeTypeParseException:
            acceptable = True
    if not acceptable:
        raise ServiceError("NotAcceptable")


def read_idempotency_key(event: dict[str, Any]) -> str | None:
    """The header Idempotency-Key as it comes, quotes included; None without it.

    Raises ServiceError: ValidationException.
    """
    key: str | None = (event.get("headers") or {}).get("idempotency-key")
    if key is not None and not IDEMPOTENCY_KEY.fullmatch(key):
        error = FieldError("InvalidFormat", "Idempotency-Key", "must be 1 to 255 visible ASCII characters")
        raise ServiceError("ValidationException", errors=[error])
    return key


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
