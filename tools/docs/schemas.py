"""JSON Schemas of the models, and responses of the service to example requests."""

import ast
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic.json_schema import JsonSchemaMode, models_json_schema

from sessions import models, parsing, responses, rules
from sessions.errors import ServiceError
from sessions.references import Caller, References

ROOT = Path(__file__).parents[2]
ADA = Caller("ada", "acme", "Acme Corp", "Ada Lovelace", "ada@example.com", "ep-ada", "Ada's desk")
SESSION_ID, REQUEST_ID = "7c9f8a4be2a04c2f8c51d0d1f6a3e9b7", "JKJaXmPLvHcESHA="
NOW = datetime(2026, 11, 22, 8, 22, 44, 881000, tzinfo=UTC)


def describe_fields() -> dict[tuple[str, str], str]:
    """Return the docstring of each field of the models, by class and field name."""
    tree = ast.parse(Path(models.__file__).read_text())
    return {
        (cls.name, field.target.id): " ".join(below.value.value.split())
        for cls in tree.body
        if isinstance(cls, ast.ClassDef)
        for field, below in zip(cls.body, cls.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str)
    }


def make_schemas(mode: JsonSchemaMode, root: type[models.Model], prefix: str) -> dict[str, Any]:
    """Return the JSON Schemas of a model and its nested models. `prefix` precedes a model's name in a `$ref`."""
    _, document = models_json_schema([(root, mode)], ref_template=f"{prefix}{{model}}")
    schemas: dict[str, Any] = document["$defs"]
    descriptions = describe_fields()
    for model_name, schema in schemas.items():
        del schema["title"]
        model = getattr(models, model_name)
        for name, field in getattr(model, "model_fields", {}).items():
            field_schema = schema["properties"][field.alias]
            field_schema.pop("title", None)
            if field_schema.get("default", "") is None:
                del field_schema["default"]
                if mode == "serialization":  # an absent field is omitted, so the schema has no null
                    field_schema.update(field_schema.pop("anyOf")[0])
            elif mode == "validation":  # parse_request drops nulls before validation
                field_schema["type"] = [field_schema["type"], "null"]
            for owner in model.__mro__:
                if (owner.__name__, name) in descriptions:
                    field_schema["description"] = descriptions[owner.__name__, name]
    return schemas


def unwrap(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a field without null."""
    value: dict[str, Any] = schema.get("anyOf", [schema])[0]
    return value | {"type": value["type"][0]} if isinstance(value.get("type"), list) else value


def respond(body: dict[str, Any]) -> dict[str, Any]:
    """Return the service's response to a request of Ada, at a fixed time and with a fixed id."""
    request, errors = parsing.parse_request(body)
    if errors:
        response = responses.respond_error(ServiceError("ValidationException", errors=errors), REQUEST_ID)
    else:
        session = rules.new_session(request, ADA, References(), SESSION_ID, NOW)
        response = responses.respond(responses.Reply("Created", session))
    content: dict[str, Any] = json.loads(response["body"])
    return content


def end(session: dict[str, Any]) -> dict[str, Any]:
    """Return a session of the service as it is after Ada ended it, a minute after NOW."""
    ended = rules.end_session(models.SessionInfo.model_validate(session), ADA, NOW + timedelta(minutes=1))
    return ended.model_dump(mode="json", exclude_none=True)
