"""The tables of docs/api.md, from the models, the rules and the errors."""

import inspect
import re
from collections.abc import Callable
from typing import Any

from pydantic.alias_generators import to_camel

from directory.models import FORMATS, Document
from docs.openapi import make_openapi, read_routes
from docs.schemas import ADA, NOW, SESSION_ID, make_schemas, unwrap
from docs.tables import make_table
from sessions import models, negotiation, parsing, rules
from sessions.errors import ERRORS
from sessions.models import NewSession, SessionInfo
from sessions.references import References

REQUEST = make_schemas("validation", NewSession, "")
RESPONSE = make_schemas("serialization", SessionInfo, "")
REFUSALS = [
    *(*rules.RULES, rules.UNKNOWN_ADDRESS, rules.TOO_MANY_MEMBERS),
    *(parsing.INVALID_KEY, negotiation.INVALID_CALLBACK, parsing.MISSING_SESSION_ID, parsing.SINGLE_CALL),
]


def name_format(pattern: str) -> str:
    """Return the name of a format of text: that of its constant in the models, in lower case."""
    [name] = [name for name, value in vars(models).items() if value == pattern]
    return name.lower().replace("_", " ")


def name_type(schema: dict[str, Any]) -> str:
    """Return the type of a field in words."""
    value = unwrap(schema)
    if "$ref" in value:
        nested = (REQUEST | RESPONSE)[value["$ref"]]
        if "enum" in nested:
            *others, last = [f"`{each}`" for each in nested["enum"]]
            return f"{', '.join(others)} or {last}"
        fields = " and ".join(f"`{name}`" for name in nested["properties"])
        return f"`{value['$ref']}`" if "description" in nested else f"object with {fields}"
    if "items" in value:
        return f"list: {name_type(value['items'])}"
    return name_format(value["pattern"]) if "pattern" in value else str(value["type"])


def name_limit(schema: dict[str, Any]) -> str:
    """Return the largest value that a field of the request accepts."""
    value = unwrap(schema)
    if "maxItems" in value:
        return f"{value['maxItems']} entries, each {name_limit(value['items'])}"
    return f"{value['maxLength']} characters" if "maxLength" in value else str(value.get("maximum", ""))


def name_default(name: str, schema: dict[str, Any]) -> str:
    """Return the value of an absent field of the request."""
    session = rules.new_session(NewSession(), ADA, References(), SESSION_ID, NOW).model_dump(exclude_none=True)
    value = session.get(name, schema.get("default", ""))
    if value == ADA.email:
        return "the caller's email address"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`" if value != "" else ""


def make_request_table() -> str:
    """Return the table of the fields of the request."""
    rows = [
        (
            f"`{name}`",
            name_type(schema),
            name_limit(schema),
            name_default(name, schema),
            schema.get("description", ""),
            ", ".join(f"`{code}`" for code in dict.fromkeys(each.code for each in REFUSALS if each.field == name)),
        )
        for name, schema in REQUEST["NewSession"]["properties"].items()
    ]
    return make_table(("field", "type", "at most", "default", "description", "other error codes"), rows)


def make_response_table(model: str, constructor: Callable[..., object]) -> str:
    """Return the table of the fields of a session or of a member. The rules construct it with keyword arguments."""
    present = {to_camel(name) for name in re.findall(r"^ {8}(\w+)=", inspect.getsource(constructor), re.MULTILINE)}
    rows = [
        (
            f"`{name}`",
            name_type(schema),
            "yes" if name in RESPONSE[model]["required"] else "",
            f"{schema.get('description', '')}{'' if name in present else ' Absent from a new session.'}".strip(),
        )
        for name, schema in RESPONSE[model]["properties"].items()
    ]
    return make_table(("field", "type", "always", "description"), rows)


def make_format_table() -> str:
    """Return the table of the formats of text."""
    rows = [(name_format(pattern), message.replace("<", r"\<")) for pattern, message in models.FORMATS.items()]
    return make_table(("type", "message"), rows)


def make_error_table() -> str:
    """Return the table of the errors of the API."""
    rows = [(str(kind.status), f"`{code}`", kind.when) for code, kind in ERRORS.items()]
    return make_table(("status", "errorCode", "when"), rows)


def make_field_error_table() -> str:
    """Return the table of the codes of field errors, with their messages."""
    _, duplicate = parsing.parse_request({"channel": "Fax", "Channel": "Voice"})
    found = [*parsing.FIELD_ERRORS.values(), *((error.code, error.message) for error in [*duplicate, *REFUSALS])]
    messages: dict[str, list[str]] = {}
    for code, message in found:
        messages.setdefault(code, []).append(re.sub(r"{\w+}", "…", message) or "the message of the field's type")
    return make_table(("errorCode", "message"), [(f"`{code}`", "; ".join(each)) for code, each in messages.items()])


def make_directory_table() -> str:
    """Return the table of the fields of a directory document."""
    schemas, rows = Document.model_json_schema()["$defs"], []
    for model, place in (("Account", ""), ("User", "users[]."), ("Team", "teams[]."), ("Customer", "customers[].")):
        for name, schema in schemas[model]["properties"].items():
            value = unwrap(schema)
            text = value.get("items", value)
            if "$ref" not in text:
                required = "yes" if name in schemas[model]["required"] else ""
                rows.append((f"`{place}{name}`", required, name_limit(schema), FORMATS[text["pattern"]]))
    return make_table(("field of `accounts[]`", "required", "at most", "each value"), rows)


def make_route_table() -> str:
    """Return the table of the routes of the API."""
    paths, rows = make_openapi()["paths"], []
    for route, *aliases in read_routes():
        method, path = route.split()
        rows += [(f"`{each}`", paths[path][method.lower()]["summary"]) for each in (route, *aliases)]
    return make_table(("route", "operation"), rows)
