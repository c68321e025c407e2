"""Parsing: the Idempotency-Key and the fields of a create, from an HTTP API event.

ServiceStack clients send fields as JSON, as a form, in the query string, or in body and query string at once.
"""

import re
from base64 import b64decode
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from aws_lambda_powertools.utilities.parser import ValidationError, parse
from pydantic_core import ErrorDetails, from_json

from sessions.errors import ERRORS, FieldError, ServiceError
from sessions.models import FORMATS, NewSession

BODY_MAX = 64 * 1024  # bytes, after base64
IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,255}")
FORM = "application/x-www-form-urlencoded"

# Keys match in any casing, as in the original ServiceStack server: .NET clients send PascalCase.
FIELD_NAMES = {field.alias.lower(): field.alias for field in NewSession.model_fields.values() if field.alias}
LIST_FIELDS = {"memberEmailAddresses"}
# Fields with text that may be empty.
TEXT_FIELDS = {"displayName", "fromAddress", "fromName", "toAddress", "destination"}

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


def read_request(event: dict[str, Any]) -> tuple[NewSession, list[FieldError]]:
    """Return the request in body and query string of a create, without its invalid fields, and an error for each.

    If both have a field, the query string wins over JSON on `/sessions`. Otherwise the body wins. ServiceStack does the
    same (RestPath.CreateRequest, GenericHandler.CreateRequestAsync). Raise ServiceError: UnsupportedMediaType,
    RequestTooLarge, SerializationException.
    """
    data = read_body(event)
    content_type = (event.get("headers") or {}).get("content-type", "").partition(";")[0].strip().lower()
    is_form = content_type == FORM and not data.startswith(b"{")  # `curl -d` sends JSON as a form
    body, errors = bind(read_form(data) if is_form else read_json(data))
    query, query_errors = bind(split_lists(event.get("queryStringParameters") or {}))
    query_wins = event["routeKey"].startswith("POST /sessions") and not is_form
    request, field_errors = parse_request(body | query if query_wins else query | body)
    return request, errors + query_errors + field_errors


def read_body(event: dict[str, Any]) -> bytes:
    """Return the body without a byte order mark and outer white space."""
    encoding = (event.get("headers") or {}).get("content-encoding", "identity")
    if encoding.strip().lower() not in {"", "identity"}:
        raise ServiceError("UnsupportedMediaType")
    body = event.get("body") or ""
    try:
        data = b64decode(body, validate=True) if event.get("isBase64Encoded") else body.encode()
    except ValueError as error:
        raise ServiceError("SerializationException") from error
    if len(data) > BODY_MAX:
        raise ServiceError("RequestTooLarge")
    return bytes(data.removeprefix(b"\xef\xbb\xbf").strip())


def read_json(data: bytes) -> dict[str, Any]:
    """Return the JSON object in a body; an empty body is an empty object."""
    try:
        content = from_json(data or b"{}", allow_inf_nan=False)
    except ValueError as error:
        message = f"{ERRORS['SerializationException'].message} JSON: {error}."
        raise ServiceError("SerializationException", message) from error
    if not isinstance(content, dict):
        raise ServiceError("SerializationException")
    return content


def read_form(data: bytes) -> dict[str, Any]:
    """Return the values of a form by name. Values of one name are joined by commas, as the gateway joins a query's."""
    try:
        pairs = parse_qsl(data.decode(), errors="strict")
    except ValueError as error:
        raise ServiceError("SerializationException") from error
    values: dict[str, str] = {}
    for name, value in pairs:
        values[name] = f"{values[name]},{value}" if name in values else value
    return split_lists(values)


def split_lists(values: Mapping[str, str]) -> dict[str, Any]:
    """Return the values of a form or a query string, without empty ones, and lists split at their commas."""
    return {
        name: value.split(",") if FIELD_NAMES.get(name.lower()) in LIST_FIELDS else value
        for name, value in values.items()
        if value
    }


def bind(values: Mapping[str, Any]) -> tuple[dict[str, Any], list[FieldError]]:
    """Return the fields of NewSession by the contract's names, without absent ones, and an error for each repeated one.

    Null is absent. So is an empty string where it cannot be valid, as in ServiceStack.
    """
    fields: dict[str, Any] = {}
    errors: dict[str, FieldError] = {}
    for key, value in values.items():
        name = FIELD_NAMES.get(key.lower())
        if name is None or value is None or (value == "" and name not in TEXT_FIELDS):
            continue
        if name in fields:
            errors[name] = FieldError("Duplicate", name, "is given twice, in different casings")
        fields.setdefault(name, value)
    return fields, list(errors.values())


def parse_request(fields: dict[str, Any]) -> tuple[NewSession, list[FieldError]]:
    """Parse the valid fields of a request; return an error for each invalid one.

    So one response can contain these errors and those of the rules for the valid fields.
    """
    try:
        return parse(event=fields, model=NewSession), []
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
    refused = {detail["loc"][0] for detail in details}
    valid_fields = {name: value for name, value in fields.items() if name not in refused}
    return parse(event=valid_fields, model=NewSession), [make_field_error(detail) for detail in details]


def make_field_error(detail: ErrorDetails) -> FieldError:
    """Return the field error for one of Pydantic's. Its field has the contract's spelling and the index of an entry."""
    code, template = FIELD_ERRORS[detail["type"]]
    context = detail.get("ctx", {})
    name, *index = detail["loc"]
    field = str(name) + "".join(f"[{position}]" for position in index)
    return FieldError(code, field, FORMATS.get(context.get("pattern", ""), template.format(**context)))
