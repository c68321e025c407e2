"""Fixtures of handlers that run against an AWS in memory (moto)."""

import json
import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from conftest import CONTEXT, load_event
from integration.dynamodb_faults import Network
from moto import mock_aws  # before the functions: moto intercepts only clients that are created after its import
from mypy_boto3_dynamodb import DynamoDBClient

import invoke
from directory import add_claims
from directory.import_directory import handler as import_directory
from sessions import store


@pytest.fixture(scope="session")
def client() -> DynamoDBClient:
    """A client for all tests, because a new one takes 30 ms."""
    return boto3.client("dynamodb")


@pytest.fixture
def dynamodb(client: DynamoDBClient, template: dict[str, Any]) -> Iterator[DynamoDBClient]:
    """A DynamoDB in memory with the tables of the template."""
    with mock_aws():
        invoke.make_tables(client, template["Resources"])
        yield client


@pytest.fixture
def directory(dynamodb: DynamoDBClient) -> DynamoDBClient:
    """A DynamoDB in memory with the demo directory."""
    assert "errors" not in import_directory(load_event("import-directory"), CONTEXT)
    return dynamodb


@pytest.fixture
def network(dynamodb: DynamoDBClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[Network]:
    """The way from the functions to DynamoDB: it counts calls, and a test injects faults. Pauses have full length."""
    network = Network(dynamodb)
    monkeypatch.setattr("aws.client.time", network)
    monkeypatch.setattr("aws.client.random", SimpleNamespace(uniform=lambda _, longest: longest))
    for client in (store.client, add_claims.client):
        client.meta.events.register_first("before-send.dynamodb", network.send)
    yield network
    for client in (store.client, add_claims.client):
        client.meta.events.unregister("before-send.dynamodb", network.send)


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Log lines of the functions, as CloudWatch receives them."""
    lines: list[dict[str, Any]] = []
    for handler in logging.getLogger("sessions").handlers:
        monkeypatch.setattr(handler, "emit", lambda record, to=handler: lines.append(json.loads(to.format(record))))
    return lines
