"""The OpenAPI document: valid and true."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

import openapi
from sessions import binding
from sessions.errors import ERRORS, ServiceError


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return openapi.make_document()


def test_it_is_valid_openapi(document: dict[str, Any]) -> None:
    OpenAPIV31SpecValidator(document).validate()


def test_it_has_every_route_of_the_template_and_no_other(document: dict[str, Any], template: dict[str, Any]) -> None:
    routes = {
        resource["Properties"]["RouteKey"]
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::ApiGatewayV2::Route"
    }
    documented = {f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item}
    assert documented == routes


def test_every_operation_demands_a_token_and_has_an_id_of_its_own(document: dict[str, Any]) -> None:
    operations = [operation for item in document["paths"].values() for operation in item.values()]
    assert document["security"] == [{"token": []}]
    assert all("security" not in operation for operation in operations)
    assert len({operation["operationId"] for operation in operations}) == len(operations)


def test_every_error_is_there_with_an_example(document: dict[str, Any]) -> None:
    for code, kind in ERRORS.items():
        response = document["components"]["responses"][str(kind.status)]
        example = response["content"]["application/json"]["examples"][code]["value"]["responseStatus"]
        assert example["errorCode"] == code
        assert f"{code}: {kind.when}" in response["description"]


def test_every_example_fits_its_schema(document: dict[str, Any]) -> None:
    checked = 0
    contents = [response["content"] for response in document["components"]["responses"].values()]
    contents += [item["post"]["requestBody"]["content"] for item in document["paths"].values() if "post" in item]
    for content in contents:
        media = content["application/json"]
        validator = Draft202012Validator(media["schema"] | {"components": document["components"]})
        for example in media["examples"].values():
            validator.validate(example["value"])
            checked += 1
    assert checked > len(ERRORS)


def test_every_field_of_the_request_is_described_and_may_be_null(document: dict[str, Any]) -> None:
    schema = document["components"]["schemas"]["NewSession"]
    validator = Draft202012Validator(schema | {"components": document["components"]})
    for name, field in schema["properties"].items():
        assert field["description"]
        validator.validate({name: None})


def test_creates_take_an_idempotency_key_and_a_read_does_not(document: dict[str, Any]) -> None:
    key = {"$ref": "#/components/parameters/idempotencyKey"}
    replayed = "Idempotent-Replayed"
    responses = document["components"]["responses"]
    for path, item in document["paths"].items():
        for operation in item.values():
            creates = path != "/sessions/{sessionId}"
            success = operation["responses"]["200"]
            success = responses[success["$ref"].rpartition("/")[2]] if "$ref" in success else success
            assert (key in operation["parameters"]) == creates
            assert (replayed in success["headers"]) == creates
            assert ("422" in operation["responses"]) == creates
    parameter = document["components"]["parameters"]["idempotencyKey"]
    assert "example" not in parameter, "viewers send an example by themselves, and it can be used once"
    schema = parameter["schema"]
    validator = Draft202012Validator(schema)
    for value in ("k", '"quoted"', "~" * 255):
        assert validator.is_valid(value)
        assert parsing.read_idempotency_key({"headers": {"idempotency-key": value}}) == value
    for value in ("", "~" * 256, "two words", "\n", "é"):
        assert not validator.is_valid(value)
        with pytest.raises(ServiceError):
            parsing.read_idempotency_key({"headers": {"idempotency-key": value}})


def test_the_gateway_may_refuse_any_operation(document: dict[str, Any]) -> None:
    for item in document["paths"].values():
        for operation in item.values():
            assert {"401", "429"} <= set(operation["responses"])
