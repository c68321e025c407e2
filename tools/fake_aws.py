"""The AWS resources of the events in events/, for an AWS in memory. This module imports no SDK."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

EVENTS = Path(__file__).parent.parent / "events"
# The environment of the functions, which names the resources.
VARIABLES = {
    "POWERTOOLS_SERVICE_NAME": "sessions",
    "POWERTOOLS_METRICS_NAMESPACE": "sessions",
    "SESSIONS_TABLE": "sessions",
    "DIRECTORY_TABLE": "directory",
    "EVENT_BUS": "sessions",
    "DEAD_LETTERS": "https://sqs.us-east-1.amazonaws.com/123456789012/dead-letters",
}

type MakeClient = Any  # boto3.client, whose overloads have no common type


def make_tables(client: MakeClient, resources: dict[str, Any]) -> None:
    """Create the tables of a template."""
    for name, table in (("sessions", "SessionsTable"), ("directory", "DirectoryTable")):
        properties = {each: resources[table]["Properties"][each] for each in ("KeySchema", "AttributeDefinitions")}
        client("dynamodb").create_table(TableName=name, BillingMode="PAY_PER_REQUEST", **properties)


def add_demo_data(client: MakeClient) -> None:
    """Import the demo directory; add the sessions of publish-events.json, the bus and the queue."""
    # The function reads its environment when Python imports it.
    import_module("directory.import_directory").handler(
        json.loads((EVENTS / "import-directory.json").read_text()), None
    )
    for record in json.loads((EVENTS / "publish-events.json").read_text())["Records"]:
        client("dynamodb").put_item(TableName="sessions", Item=record["dynamodb"]["NewImage"])
    client("events").create_event_bus(Name="sessions")
    client("sqs").create_queue(QueueName="dead-letters")


def find_function(name: str, event: dict[str, Any]) -> str:
    """Return the function of an event: requests are for SessionsFunction, publish-events for PublishEventsFunction."""
    if "routeKey" in event:
        return "SessionsFunction"
    return "".join(word.capitalize() for word in name.split("-")[:2]) + "Function"
