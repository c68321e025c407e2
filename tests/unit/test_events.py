"""The schema of the events: valid and true."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator

import events


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return events.make_document()


def test_it_is_valid_json_schema_and_its_example_fits(document: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(document)
    (example,) = document["examples"]
    Draft202012Validator(document).validate(example)


def test_every_field_of_the_detail_is_described(document: dict[str, Any]) -> None:
    assert list(document["properties"]) == ["session", "startSession", "parentSessionId", "withAddress", "eventId"]
    assert document["required"] == ["session", "startSession", "eventId"]
    assert all(field["description"] for field in document["properties"].values())
