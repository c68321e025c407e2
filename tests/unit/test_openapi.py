"""The OpenAPI document and the schemas of the events are valid, and agree with the code."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from docs.openapi import make_event_schemas, make_openapi, read_routes
from sessions import parsing
from sessions.errors import ERRORS


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return make_openapi()


@pytest.fixture(scope="module")
def event_schemas() -> dict[str, Any]:
    return make_event_schemas()


def list_operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the operations by route."""
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def test_the_document_is_valid_openapi(document: dict[str, Any]) -> None:
    OpenAPIV31SpecValidator(document).validate()


def test_each_route_of_the_template_is_an_operation_or_its_alias(
    document: dict[str, Any], template: dict[str, Any]
) -> None:
    resources = template["Resources"].values()
    routes = {each["Properties"]["RouteKey"] for each in resources if each["Type"] == "AWS::ApiGatewayV2::Route"}
    assert {route for each in read_routes() for route in each} == routes
    assert set(list_operations(document)) == {route for route, *_ in read_routes()}
    for route, *aliases in read_routes():
        assert all(f"`{alias}`" in list_operations(document)[route]["description"] for alias in aliases)


def test_every_operation_requires_a_token_and_has_its_own_id(document: dict[str, Any]) -> None:
    operations = list_operations(document).values()
    assert document["security"] == [{"token": []}]
    assert all("security" not in operation for operation in operations)
    assert len({operation["operationId"] for operation in operations}) == len(operations)


def test_every_example_fits_its_schema(document: dict[str, Any]) -> None:
    create = document["paths"]["/sessions"]["post"]
    contents = [response["content"] for response in document["components"]["responses"].values()]
    contents += [create["requestBody"]["content"], create["responses"]["200"]["content"]]
    codes = set()
    for content in contents:
        media = content["application/json"]
        validator = Draft202012Validator(media["schema"] | {"components": document["components"]})
        for example in media["examples"].values():
            validator.validate(example["value"])
            codes.add(example["value"].get("responseStatus", {}).get("errorCode"))
    assert codes >= set(ERRORS)


def test_every_field_of_the_request_has_a_description_and_accepts_null(document: dict[str, Any]) -> None:
    schema = document["components"]["schemas"]["NewSession"]
    validator = Draft202012Validator(schema | {"components": document["components"]})
    for name, field in schema["properties"].items():
        assert field["description"], f"add a docstring to {name} in models.py"
        validator.validate({name: None})


def test_a_form_and_the_query_string_accept_the_fields_of_the_request(document: dict[str, Any]) -> None:
    create = document["paths"]["/sessions"]["post"]
    content = create["requestBody"]["content"]
    assert content["application/x-www-form-urlencoded"]["schema"] == content["application/json"]["schema"]
    fields = document["components"]["schemas"]["NewSession"]["properties"]
    parameters = {each["name"]: each for each in create["parameters"] if each.get("in") == "query"}
    assert set(parameters) == set(fields)
    for parameter in parameters.values():
        assert not Draft202012Validator(parameter["schema"] | {"components": document["components"]}).is_valid(None)


def test_only_a_create_has_an_idempotency_key(document: dict[str, Any]) -> None:
    key = {"$ref": "#/components/parameters/idempotencyKey"}
    for route, operation in list_operations(document).items():
        creates = route == "POST /sessions"
        assert (key in operation["parameters"]) == creates
        [success] = [each for status, each in operation["responses"].items() if status.startswith("2")]
        assert ("Idempotent-Replayed" in success["headers"]) == creates
        assert ("422" in operation["responses"]) == creates
        assert ("404" in operation["responses"]) != creates
    parameter = document["components"]["parameters"]["idempotencyKey"]
    assert "example" not in parameter, "viewers send an example by themselves, and a key can be used once"


@pytest.mark.parametrize(
    ("key", "is_valid"),
    [("k", True), ('"quoted"', True), ("~" * 255, True)]
    + [(key, False) for key in ("", "~" * 256, "two words", "\n", "é")],
)
def test_the_schema_of_the_idempotency_key_accepts_the_keys_that_the_service_accepts(
    document: dict[str, Any],
    key: str,
    is_valid: bool,  # noqa: FBT001
) -> None:
    schema = document["components"]["parameters"]["idempotencyKey"]["schema"]
    assert Draft202012Validator(schema).is_valid(key) == is_valid
    event = {"headers": {"idempotency-key": key}}
    assert parsing.read_idempotency_key(event) == ((key, []) if is_valid else (None, [parsing.INVALID_KEY]))


def test_the_gateway_can_refuse_any_operation(document: dict[str, Any]) -> None:
    for operation in list_operations(document).values():
        assert {"401", "429"} <= set(operation["responses"])


@pytest.mark.parametrize("name", ["SessionCreated", "SessionEnded"])
def test_the_schema_of_an_event_is_valid_and_its_example_fits(event_schemas: dict[str, Any], name: str) -> None:
    Draft202012Validator.check_schema(event_schemas)
    [example] = event_schemas["$defs"][name]["examples"]
    Draft202012Validator(event_schemas | {"$ref": f"#/$defs/{name}"}).validate(example)


@pytest.mark.parametrize(("name", "more"), [("SessionCreated", []), ("SessionEnded", ["endedBy"])])
def test_changing_the_fields_of_an_event_requires_changing_this_test(
    event_schemas: dict[str, Any], name: str, more: list[str]
) -> None:
    schema = event_schemas["$defs"][name]
    assert list(schema["properties"]) == [
        *("session", "startSession", "parentSessionId", "withAddress", "eventId"),
        *more,
    ]
    assert schema["required"] == ["session", "startSession", "eventId", *more]
    undescribed = [field for field, value in schema["properties"].items() if not value.get("description")]
    assert undescribed == [], "add docstrings in models.py"
