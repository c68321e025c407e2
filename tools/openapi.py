"""Writes docs/openapi.json (OpenAPI 3.1) from the models and the error table; `make openapi` runs it.

What a person must know and the code cannot say stands here; every schema and example comes from the code itself.
"""

import ast
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic.json_schema import JsonSchemaMode, models_json_schema

from sessions import api, binding, models, references, rules
from sessions.errors import ERRORS, ServiceError

CREATE_PATHS = {
    "/sessions": "createSession",
    "/sessions.json": "createSessionJson",
    "/api/NewSession": "newSession",
    "/api/NewSession.json": "newSessionJson",
    "/json/reply/NewSession": "newSessionReply",
}
ROOTS: list[tuple[type[models.Model], JsonSchemaMode]] = [
    (models.NewSession, "validation"),
    (models.SessionInfo, "serialization"),
]
WRITE_ONLY = {"413", "422", "504"}  # statuses that a read does not have
GATEWAY_ERRORS = {"401": "Unauthorized", "429": "Too Many Requests"}  # what the gateway answers by itself
ADA = references.Caller("ada", "acme", "Acme Corp", "Ada Lovelace", "ada@example.com", "ep-ada", "Ada's desk")
SESSION_ID, REQUEST_ID = "7c9f8a4be2a04c2f8c51d0d1f6a3e9b7", "JKJaXmPLvHcESHA="
NOW = datetime(2026, 11, 22, 8, 22, 44, 881000, tzinfo=UTC)
REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "empty": ("Every field is optional", {}),
    "voice": (
        "A call that was dialled",
        {"channel": "Voice", "toAddress": "+15557654321", "destination": "5557654321"},
    ),
    "started": ("A fax whose flow starts", {"channel": "Fax", "displayName": "Order 1042", "startSession": True}),
}
INVALID = {"channel": "Telex", "displayName": "x" * 257, "memberEmailAddresses": ["bob@example.com", "carol"]}


def describe_fields() -> dict[tuple[str, str], str]:
    """The sentence below each field of the models, by class and field name."""
    tree = ast.parse(Path(models.__file__).read_text())
    return {
        (cls.name, field.target.id): below.value.value
        for cls in tree.body
        if isinstance(cls, ast.ClassDef)
        for field, below in zip(cls.body, cls.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str)
    }


def make_schemas(roots: list[tuple[type[models.Model], JsonSchemaMode]], place: str) -> dict[str, Any]:
    """The JSON Schemas of these models and what they hold, to stand at `place`. A request's null is an absent field."""
    _, document = models_json_schema(roots, ref_template=f"{place}{{model}}")
    schemas: dict[str, Any] = document["$defs"]
    descriptions = describe_fields()
    for name, schema in schemas.items():
        del schema["title"]
        model = getattr(models, name)
        for field_name, field in getattr(model, "model_fields", {}).items():
            field_schema = schema["properties"][field.alias]
            field_schema.pop("title", None)
            if field_schema.get("default", "") is None:
                del field_schema["default"]
                if model is not models.NewSession:
                    field_schema.update(field_schema.pop("anyOf")[0])  # replies have no nulls: such a field is left out
            elif model is models.NewSession:
                field_schema["type"] = [
                    field_schema["type"],
                    "null",
                ]  # parsing.bind drops nulls before the model sees them
            for owner in model.__mro__:
                if (owner.__name__, field_name) in descriptions:
                    field_schema["description"] = descriptions[owner.__name__, field_name]
    return schemas


def reply_to(request: dict[str, Any]) -> dict[str, Any]:
    """What the API replies to ada's request, at a fixed time and with a fixed id."""
    bound, errors = parsing.parse_request(request)
    if errors:
        response = responses.respond_error(ServiceError("ValidationException", errors=errors), REQUEST_ID)
    else:
        session = rules.new_session(bound, ADA, references.References(), SESSION_ID, NOW)
        response = api.respond(200, session.model_dump_json(exclude_none=True))
    content: dict[str, Any] = json.loads(response["body"])
    return content


def refer_to_headers(*names: str) -> dict[str, Any]:
    """References to headers of responses."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def make_responses() -> dict[str, Any]:
    """The responses by status: a session that was created, every error of the table, and the gateway's own errors."""
    examples = {name: {"summary": summary, "value": reply_to(body)} for name, (summary, body) in REQUESTS.items()}
    success = {
        "description": "The session",
        "headers": refer_to_headers("Cache-Control", "X-Content-Type-Options", "Idempotent-Replayed"),
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/SessionInfo"}, "examples": examples},
            "application/javascript": {
                "schema": {"type": "string", "description": "With `callback`: a call of it with the same JSON"}
            },
        },
    }
    responses: dict[str, Any] = {"200": success}
    for code, kind in ERRORS.items():
        example = reply_to(INVALID) if code == "ValidationException" else None
        response = responses.respond_error(ServiceError(code), REQUEST_ID)
        same_status = responses.setdefault(
            str(kind.status),
            {
                "description": "",
                "content": {
                    "application/json": {"schema": {"$ref": "#/components/schemas/ErrorResponse"}, "examples": {}},
                    "application/javascript": {"schema": {"type": "string"}},
                },
            },
        )
        same_status["description"] = f"{same_status['description']}\n\n{code}: {kind.when}".strip()
        same_status["content"]["application/json"]["examples"][code] = {
            "value": example or json.loads(response["body"])
        }
        if "Retry-After" in response["headers"]:
            same_status["headers"] = refer_to_headers("Retry-After")
    gateway = {"$ref": "#/components/schemas/GatewayError"}
    for status, message in GATEWAY_ERRORS.items():
        example = {"gateway": {"value": {"message": message}}}
        if status in responses:
            media = responses[status]["content"]["application/json"]
            media |= {"schema": {"anyOf": [media["schema"], gateway]}, "examples": media["examples"] | example}
        else:
            description = f"{message}: The gateway refuses it, as the route has more requests than it lets through."
            content = {"application/json": {"schema": gateway, "examples": example}}
            responses[status] = {"description": description, "content": content}
    return dict(sorted(responses.items()))


def make_error_schemas() -> dict[str, Any]:
    """The schemas of errors: ours, and the gateway's own."""
    text = {"type": "string"}
    field_error = {
        "type": "object",
        "required": ["errorCode", "fieldName", "message"],
        "properties": {"errorCode": text, "fieldName": text, "message": text},
    }
    status = {
        "type": "object",
        "required": ["errorCode", "message", "errors", "meta"],
        "properties": {
            "errorCode": {"type": "string", "enum": list(ERRORS)},
            "message": text,
            "errors": {"type": "array", "items": field_error},
            "meta": {"type": "object", "required": ["requestId"], "properties": {"requestId": text}},
        },
    }
    return {
        "ErrorResponse": {"type": "object", "required": ["responseStatus"], "properties": {"responseStatus": status}},
        "GatewayError": {
            "type": "object",
            "description": (
                "What the gateway answers by itself: a missing or bad token, an unknown route, too many requests."
            ),
            "required": ["message"],
            "properties": {"message": text},
        },
    }


def make_document() -> dict[str, Any]:
    """The whole document. Equal code makes an equal document."""
    responses = make_responses()
    parameters = [{"$ref": f"#/components/parameters/{name}"} for name in ("format", "callback")]
    create = {
        "tags": ["sessions"],
        "summary": "Create a session",
        "description": (
            "Starts a voice, chat or fax session for the caller, whom the token names. Keys and enum values match in "
            "any casing, null means absent, unknown keys are ignored, and an empty body is `{}`. JSON is read whatever "
            "the Content-Type says. Without an `Idempotency-Key` each request creates a session."
        ),
        "parameters": [{"$ref": "#/components/parameters/idempotencyKey"}, *parameters],
        "requestBody": {
            "required": False,
            "content": {
                "application/json": {
                    "schema": {"$ref": "#/components/schemas/NewSession"},
                    "examples": {name: {"summary": text, "value": body} for name, (text, body) in REQUESTS.items()},
                }
            },
        },
        "responses": {status: {"$ref": f"#/components/responses/{status}"} for status in responses if status != "404"},
    }
    found = responses["200"] | {"headers": refer_to_headers("Cache-Control", "X-Content-Type-Options")}
    get = {
        "operationId": "getSession",
        "tags": ["sessions"],
        "summary": "Get a session",
        "description": "A session of the caller's account, as it is now.",
        "parameters": [{"$ref": "#/components/parameters/sessionId"}, *parameters],
        "responses": {
            status: {"$ref": f"#/components/responses/{status}"} for status in responses if status not in WRITE_ONLY
        }
        | {"200": found},
    }
    same = "The same operation under a path that ServiceStack clients use by themselves. "
    paths: dict[str, Any] = {
        path: {
            "post": create
            | {"operationId": operation_id}
            | ({} if path == "/sessions" else {"description": same + str(create["description"])})
        }
        for path, operation_id in CREATE_PATHS.items()
    }
    paths["/sessions/{sessionId}"] = {"get": get}
    text = {"type": "string"}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Sessions",
            "version": "0.1.0",
            "description": "Starts voice, chat and fax sessions of a contact centre.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "tags": [{"name": "sessions", "description": "Voice, chat and fax sessions"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "An access or ID token of the user pool, or of the stack's own issuer",
                }
            },
            "parameters": {
                "sessionId": {
                    "name": "sessionId",
                    "in": "path",
                    "required": True,
                    "description": "The session's id; `.json` may follow, and asks for JSON whatever Accept says.",
                    "schema": text,
                    "example": SESSION_ID,
                },
                "idempotencyKey": {
                    "name": "Idempotency-Key",
                    "in": "header",
                    "description": (
                        "Makes the request safe to send again: the same key with the same request replies the session "
                        "that the first one created, as it is now. With another request it is refused, 422. Keys are "
                        "the user's own, are taken as they come, quotes included, and live as long as the session."
                    ),
                    "schema": {
                        "type": "string",
                        "pattern": f"^{parsing.IDEMPOTENCY_KEY.pattern}$",
                        "minLength": 1,
                        "maxLength": 255,
                    },
                },
                "format": {
                    "name": "format",
                    "in": "query",
                    "description": "`json`, in any casing, asks for JSON whatever Accept says; empty means absent; "
                    "anything else is refused with 406.",
                    "schema": {"type": "string", "enum": ["json"]},
                },
                "callback": {
                    "name": "callback",
                    "in": "query",
                    "description": "Wraps the reply, success or error, in a call of this function (JSONP).",
                    "schema": {"type": "string", "pattern": f"^{negotiation.CALLBACK.pattern}$", "maxLength": 128},
                },
            },
            "headers": {
                "Cache-Control": {"description": "`no-store`", "schema": text},
                "X-Content-Type-Options": {"description": "`nosniff`", "schema": text},
                "Idempotent-Replayed": {
                    "description": "`true` if an earlier request with the same `Idempotency-Key` created the session, "
                    "else absent",
                    "schema": {"type": "string", "enum": ["true"]},
                },
                "Retry-After": {"description": "Seconds to wait", "schema": {"type": "integer"}},
            },
            "responses": responses,
            "schemas": make_schemas(ROOTS, "#/components/schemas/") | make_error_schemas(),
        },
    }


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(make_document(), indent=2, ensure_ascii=False) + "\n")
