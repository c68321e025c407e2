"""The OpenAPI document and the JSON Schemas of the events, from the code and the skeleton docs/data/openapi.yaml."""

import ast
import json
import tomllib
from itertools import groupby
from typing import Any

import yaml

from docs.schemas import REQUEST_ID, ROOT, end, make_schemas, respond, unwrap
from sessions import models, negotiation, parsing, responses
from sessions.errors import ERRORS, ServiceError

CREATE_ONLY, READ_ONLY = {"413", "415", "422", "504"}, {"404"}  # the statuses that only one operation has
INVALID = {"channel": "Telex", "displayName": "x" * 257, "memberEmailAddresses": ["bob@example.com", "carol"]}


def read_routes() -> list[list[str]]:
    """Return the routes of each operation: the documented one, then its aliases.

    The source is OPERATIONS in the handler. Its text is parsed, because an import of the handler needs AWS's settings.
    """
    for node in ast.parse((ROOT / "functions/sessions/handler.py").read_text()).body:
        match node:
            case ast.AnnAssign(target=ast.Name("OPERATIONS"), value=ast.Dict(keys, values)):
                pairs = [
                    (str(ast.literal_eval(key or value)), ast.unparse(value))
                    for key, value in zip(keys, values, strict=True)
                ]
                return [[route for route, _ in group] for _, group in groupby(pairs, key=lambda pair: pair[1])]
    raise ValueError("sessions/handler.py has no table OPERATIONS")


def make_openapi() -> dict[str, Any]:
    """Return the OpenAPI document. Raise KeyError if the skeleton lacks an operation of the handler."""
    document: dict[str, Any] = yaml.safe_load((ROOT / "docs/data/openapi.yaml").read_text())
    document["info"]["version"] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    components = document["components"]
    for name, pattern in (("idempotencyKey", parsing.IDEMPOTENCY_KEY), ("callback", negotiation.CALLBACK)):
        components["parameters"][name]["schema"]["pattern"] = f"^{pattern.pattern}$"
    components["schemas"] |= make_schemas("validation", models.NewSession, "#/components/schemas/")
    components["schemas"] |= make_schemas("serialization", models.SessionInfo, "#/components/schemas/")
    error_schema = components["schemas"]["ErrorResponse"]["properties"]["responseStatus"]
    error_schema["properties"]["errorCode"]["enum"] = list(ERRORS)
    add_errors(components["responses"])
    for route, *aliases in read_routes():
        method, path = route.split()
        operation = document["paths"][path][method.lower()]
        if aliases:
            operation["description"] += (
                f" Aliases for ServiceStack clients: {', '.join(f'`{each}`' for each in aliases)}."
            )
        absent = READ_ONLY if "requestBody" in operation else CREATE_ONLY
        statuses = sorted(set(components["responses"]) - absent)
        operation["responses"] |= {status: {"$ref": f"#/components/responses/{status}"} for status in statuses}
    create = document["paths"]["/sessions"]["post"]
    create["parameters"] += make_query_parameters(components["schemas"]["NewSession"])
    examples = create["requestBody"]["content"]["application/json"]["examples"]
    create["responses"]["200"]["content"]["application/json"]["examples"] = {
        name: example | {"value": respond(example["value"])} for name, example in examples.items()
    }
    return document


def make_query_parameters(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a query parameter for each field of the request, without defaults: viewers would send these."""
    parameters = []
    for name, field in schema["properties"].items():
        value = {keyword: each for keyword, each in unwrap(field).items() if keyword not in {"description", "default"}}
        parameter = {"name": name, "in": "query", "description": field["description"], "schema": value}
        if name in parsing.LIST_FIELDS:
            parameter |= {"style": "form", "explode": False}  # commas separate the entries
        parameters.append(parameter)
    return parameters


def add_errors(components: dict[str, Any]) -> None:
    """Add each error of the API, with an example, to the responses by status."""
    for code, kind in ERRORS.items():
        example = responses.respond_error(ServiceError(code), REQUEST_ID)["body"]
        schema = {"$ref": "#/components/schemas/ErrorResponse"}
        script = {"schema": {"type": "string"}}
        content = {"application/json": {"schema": schema, "examples": {}}, "application/javascript": script}
        response = components.setdefault(str(kind.status), {"description": "", "content": content})
        response["description"] = f"{response['description']}\n\n{code}: {kind.when}".strip()
        response["content"]["application/json"]["examples"][code] = {
            "value": respond(INVALID) if code == "ValidationException" else json.loads(example)
        }


def make_event_schemas() -> dict[str, Any]:
    """Return the JSON Schemas of the details of all events. `$defs` has them by detail-type."""
    schemas: dict[str, Any] = {}
    for model in (models.SessionCreated, models.SessionEnded):
        schemas |= make_schemas("serialization", model, "#/$defs/")
    session = respond({"channel": "Fax", "displayName": "Order 1042", "startSession": True})
    created = {"session": session, "startSession": True, "eventId": f"{session['id']}-{session['dateCreated']}"}
    session = end(session)
    event_id = f"{session['id']}-ended-{session['dateCompleted']}"
    ended = {"session": session, "startSession": True, "eventId": event_id, "endedBy": session["lastModifiedBy"]}
    schemas["SessionCreated"]["examples"] = [created]
    schemas["SessionEnded"]["examples"] = [ended]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The detail of an event",
        "anyOf": [{"$ref": "#/$defs/SessionCreated"}, {"$ref": "#/$defs/SessionEnded"}],
        "$defs": schemas,
    }
