"""Parsing: the Idempotency-Key and the fields of a create, and the parameters of other operations.

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

BODY_MAX = 64 * 1024  # bytes, after base64 decoding
IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,255}")

# Keys match in any casing, as in ServiceStack: .NET clients send PascalCase.
FIELD_NAMES = {field.alias.lower(): field.alias for field in NewSession.model_fields.values() if field.alias}
LIST_FIELDS = {"memberEmailAddresses"}
# Fields with text that may be empty.
TEXT_FIELDS = {"displayName", "fromAddress", "fromName", "toAddress", "destination"}

INVALID_KEY = FieldError("InvalidFormat", "Idempotency-Key", "must be 1 to 255 visible ASCII characters")
MISSING_SESSION_ID = FieldError("Required", "sessionId", "must name a session")
SINGLE_CALL = FieldError("NotAllowed", "callSid", "only the telephony provider can end a single call")

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


def read_idempotency_key(event: dict[str, Any]) -> tuple[str | None, list[FieldError]]:
    """Return the header Idempotency-Key, quotes included, and an error if it is invalid. Without the header: None."""
    key: str | None = (event.get("headers") or {}).get("idempotency-key")
    if key is not None and not IDEMPOTENCY_KEY.fullmatch(key):
        return None, [INVALID_KEY]
    return key, []


def read_request(event: dict[str, Any]) -> tuple[NewSession, list[FieldError]]:
    """Return the valid fields of a create, from body and query string, and an error for each invalid one.

    On `/sessions` and `/sessions.json` the query string wins, unless the Content-Type is that of a form. Otherwise the
    body wins. ServiceStack does the same (RestPath.CreateRequest, GenericHandler.CreateRequestAsync). Raise
    ServiceError: UnsupportedMediaType, RequestTooLarge, SerializationException.
    """
    body, query = read_body(event), split_lists(event.get("queryStringParameters") or {})
    query_wins = event["routeKey"].startswith("POST /sessions") and not is_form(event)
    return parse_request(body, query) if query_wins else parse_request(query, body)


def is_form(event: dict[str, Any]) -> bool:
    """Return whether the Content-Type is that of a form."""
    content_type: str = (event.get("headers") or {}).get("content-type", "")
    return content_type.partition(";")[0].strip().lower() == "application/x-www-form-urlencoded"


def read_body(event: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON object or the form in the body. An empty body is an empty object.

    JSON may have any Content-Type: `curl -d` sends it as a form. Raise ServiceError: UnsupportedMediaType,
    RequestTooLarge, SerializationException.
    """
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
    data = data.removeprefix(b"\xef\xbb\xbf").strip() or b"{}"
    if is_form(event) and b"=" in data and not data.startswith((b"{", b"[")):
        return read_form(data)
    try:
        content = from_json(data, allow_inf_nan=False)
    except ValueError as error:
        message = f"{ERRORS['SerializationException'].message} JSON: {error}."
        raise ServiceError("SerializationException", message) from error
    if not isinstance(content, dict):
        raise ServiceError("SerializationException")
    return content


def read_form(data: bytes) -> dict[str, Any]:
    """Return the values of a form by name. Commas join repeated values, as in the gateway's query parameters."""
    try:
        pairs = parse_qsl(data.decode(), errors="strict")
    except ValueError as error:
        raise ServiceError("SerializationException") from error
    values: dict[str, str] = {}
    for name, value in pairs:
        values[name] = f"{values[name]},{value}" if name in values else value
    return split_lists(values)


def split_lists(values: Mapping[str, str]) -> dict[str, Any]:
    """Return the values of a form or a query string. Omit empty values, and split lists at commas."""
    return {
        name: value.split(",") if FIELD_NAMES.get(name.lower()) in LIST_FIELDS else value
        for name, value in values.items()
        if value
    }


def read_parameters(event: dict[str, Any], *names: str) -> tuple[dict[str, str], list[FieldError]]:
    """Return the named parameters of path and query string, and an error for each repeated one.

    `sessionId` is required: without it, there is an error, too. Names in the query string may have any casing. `.json`
    at the end of a value in the path is removed.
    """
    path = {name: value.removesuffix(".json") for name, value in (event.get("pathParameters") or {}).items()}
    query_names = {name.lower(): name for name in names if name not in path}
    query, errors = read_fields(event.get("queryStringParameters") or {}, query_names)
    if "sessionId" not in path | query:
        errors.append(MISSING_SESSION_ID)
    return path | query, errors


def parse_request(*sources: Mapping[str, Any]) -> tuple[NewSession, list[FieldError]]:
    """Parse the valid fields of the sources; return an error for each invalid one. A later source wins.

    The rules then check the valid fields, so one response can report all errors.
    """
    fields: dict[str, Any] = {}
    errors: list[FieldError] = []
    for source in sources:
        values, repeated = read_fields(source)
        fields |= values
        errors += repeated
    try:
        return parse(event=fields, model=NewSession), errors
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
    refused = {detail["loc"][0] for detail in details}
    valid_fields = {name: value for name, value in fields.items() if name not in refused}
    return parse(event=valid_fields, model=NewSession), errors + [make_field_error(detail) for detail in details]


def read_fields(
    source: Mapping[str, Any], names: Mapping[str, str] = FIELD_NAMES
) -> tuple[dict[str, Any], list[FieldError]]:
    """Return the fields of a source by the contract's names, and an error for each repeated one.

    `names` maps a lowercase name to its spelling in the contract. Other fields are ignored.
    Null means absent. An empty string means absent too, if the field cannot be empty. ServiceStack does the same.
    """
    fields: dict[str, Any] = {}
    repeated: dict[str, FieldError] = {}
    for key, value in source.items():
        name = names.get(key.lower())
        if name is None or value is None or (value == "" and name not in TEXT_FIELDS):
            continue
        if name in fields:
            repeated[name] = FieldError("Duplicate", name, "is given twice, in different casings")
        fields.setdefault(name, value)
    return fields, list(repeated.values())


def make_field_error(detail: ErrorDetails) -> FieldError:
    """Convert a Pydantic error to a field error, with the contract's spelling and the index of a list entry."""
    code, template = FIELD_ERRORS[detail["type"]]
    context = detail.get("ctx", {})
    name, *index = detail["loc"]
    field = str(name) + "".join(f"[{position}]" for position in index)
    return FieldError(code, field, FORMATS.get(context.get("pattern", ""), template.format(**context)))
