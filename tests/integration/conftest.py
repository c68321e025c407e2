"""Handlers with an AWS in memory (moto), whose tables come from the template."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from conftest import CONTEXT, load_event
from moto import mock_aws  # before the functions: moto answers only clients that are made after its import
from mypy_boto3_dynamodb import DynamoDBClient

import fake_aws
from directory.import_directory import handler as import_directory


@pytest.fixture
def dynamodb(template: dict[str, Any]) -> Iterator[DynamoDBClient]:
    """A DynamoDB in memory with the tables of the template."""
    with mock_aws():
        fake_aws.make_tables(boto3.client, template["Resources"])
        yield boto3.client("dynamodb")


@pytest.fixture
def directory(dynamodb: DynamoDBClient) -> DynamoDBClient:
    """The same, with the demo directory as the import function writes it."""
    assert "errors" not in import_directory(load_event("import-directory"), CONTEXT)
    return dynamodb


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The log lines of the functions, as CloudWatch receives them."""
    lines: list[dict[str, Any]] = []
    for handler in logging.getLogger("sessions").handlers:
        monkeypatch.setattr(handler, "emit", lambda record, to=handler: lines.append(json.loads(to.format(record))))
    return lines
