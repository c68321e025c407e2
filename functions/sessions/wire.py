"""DynamoDB's wire types from and to the plain values that our items have: strings, booleans, lists and objects.

And the JSON of these types as it is sent and received, past botocore, which would make the same of it more slowly.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json, to_json

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


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


def pass_json(client: "DynamoDBClient") -> None:
    """Make a client send its puts, and take all answers, as the JSON that they are.

    botocore walks along its model of the service through each value of what it sends and receives, for bytes and dates
    to convert. Our items have none, and the walk is a seventh of a plain create and more than a quarter of one with
    seven references (instructions counted; docs/decisions.md). By its events, in the order in which a call meets them.
    """
    client.meta.events.register("provide-client-params.dynamodb.PutItem", keep_parameters)
    client.meta.events.register("before-call.dynamodb.PutItem", send_parameters)
    client.meta.events.register("before-parse.dynamodb", take_answer)


def keep_parameters(params: dict[str, Any], context: dict[str, Any], **_: object) -> None:
    """Put the parameters aside, as the body that they will be, and leave botocore the short ones."""
    context["body"] = to_json(params)
    del params["Item"]


def send_parameters(params: dict[str, Any], context: dict[str, Any], **_: object) -> None:
    """Send them instead of what botocore made of the rest. It signs them after this."""
    params["body"] = context["body"]


def take_answer(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object) -> None:
    """Take an answer as it is, and leave botocore an empty one; errors, and what is no JSON, are for botocore."""
    if response_dict["status_code"] == 200:
        with suppress(ValueError):
            customized_response_dict.update(from_json(response_dict["body"]))
            response_dict["body"] = b"{}"
