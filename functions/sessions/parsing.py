"""Parsing: the Idempotency-Key, the body and its fields, from an HTTP API event."""

import re
from base64 import b64decode
from typing import Any

from aws_lambda_powertools.utilities.parser import ValidationError, parse
from pydantic_core import ErrorDetails, from_json

from sessions.errors import ERRORS, FieldError, ServiceError
from sessions.models import FORMATS, NewSession

BODY_MAX = 64 * 1024  # bytes, after base64
IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,255}")

# Keys match in any casing, as in the original ServiceStack server: .NET clients send PascalCase.
FIELD_NAMES = {field.alias.lower(): field.alias for field in NewSession.model_fields.values() if field.alias}

# Pydantic's error types for NewSession, with the code and the message of the field error.
FIELD_ERRORS = {
    "enum": ("InvalidEnum", "must be {expected}"),
    "string_pattern_mismatch": ("InvalidFormat", ""),  # FORMATS has the message
    "string_too_long": ("TooLong", "must have at most {max_length} characters"),
    "too_long": ("TooMany", "must have at most {max_length} entries"),
    "string_type": ("InvalidType", "must be a string"),
    "bool_type": ("InvalidType", "must be true or false"),
    "list_type": ("InvalidType", "must be a list"),
}


def read_idempotency_key(event: dict[str, Any]) -> str | None:
    """Return the header Idempotency-Key, quotes included; None without it. Raise ServiceError: ValidationException."""
    key: str | None = (event.get("headers") or {}).get("idempotency-key")
    if key is not None and not IDEMPOTENCY_KEY.fullmatch(key):
        error = FieldError("InvalidFormat", "Idempotency-Key", "must be 1 to 255 visible ASCII characters")
        raise ServiceError("ValidationException", errors=[error])
    return key


def read_body(event: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON object in the body. Ignore the Content-Type; an empty body is an empty object.

    Raise ServiceError: RequestTooLarge, or SerializationException with the position of the error.
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


def parse_request(body: dict[str, Any]) -> tuple[NewSession, list[FieldError]]:
    """Parse the valid fields of a body; return an error for each invalid one.

    So one response can contain these errors and those of the rules for the valid fields.
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
    return parse(event=valid, model=NewSession), errors + [make_field_error(detail) for detail in details]


def make_field_error(detail: ErrorDetails) -> FieldError:
    """Return the field error for one of Pydantic's. Its field has the contract's spelling and the index of an entry."""
    code, template = FIELD_ERRORS[detail["type"]]
    context = detail.get("ctx", {})
    name, *index = detail["loc"]
    field = str(name) + "".join(f"[{position}]" for position in index)
    return FieldError(code, field, FORMATS.get(context.get("pattern", ""), template.format(**context)))
