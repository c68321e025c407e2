"""What operators see: log lines, their metrics, and a dashboard and an alarm that use these metrics."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from aws_lambda_powertools.metrics.provider import cold_start
from conftest import CONTEXT, make_end, make_event, make_get
from integration.api import scan
from mypy_boto3_dynamodb import DynamoDBClient

from sessions import store
from sessions.errors import ERRORS, ServiceError
from sessions.handler import handler

type Metric = tuple[str, str, frozenset[str]]
"""Namespace, name, and the names of its dimensions."""

STACK = "sessions"  # the stack's name, which is the namespace of its metrics

# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-metrics.html
# https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
AWS_METRICS = {
    ("AWS/ApiGateway", "ApiId"): {"4xx", "5xx", "Count", "IntegrationLatency", "Latency", "DataProcessed"},
    ("AWS/Lambda", "FunctionName"): {"ConcurrentExecutions", "Duration", "Errors", "IteratorAge", "Throttles"},
    ("AWS/DynamoDB", "TableName"): {
        "ConsumedReadCapacityUnits",
        "ConsumedWriteCapacityUnits",
        "ReadThrottleEvents",
        "WriteThrottleEvents",
    },
    ("AWS/SQS", "QueueName"): {"ApproximateNumberOfMessagesVisible"},
}


def read_metrics(line: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Return the metrics of a log line with their dimensions. Each must be a count of 1."""
    if "_aws" not in line:
        return {}
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == STACK
    (dimensions,) = directive["Dimensions"]
    for metric in directive["Metrics"]:
        assert metric["Unit"] == "Count"
        assert line[metric["Name"]] in (1, [1.0])
    return {metric["Name"]: {name: line[name] for name in dimensions} for metric in directive["Metrics"]}


@pytest.fixture(autouse=True)
def warm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every request a warm one, unless a test sets a cold start."""
    monkeypatch.setattr(cold_start, "is_cold_start", False)


@pytest.mark.parametrize("channel", ["Voice", "Chat", "Fax", None])
def test_a_created_session_is_counted_by_its_channel(
    dynamodb: DynamoDBClient, logged: list[dict[str, Any]], channel: str | None
) -> None:
    handler(make_event({"channel": channel}), CONTEXT)
    assert [read_metrics(line) for line in logged] == [
        {"SessionsCreated": {"service": "sessions", "channel": channel or "None"}}
    ]
    assert dynamodb.scan(TableName="sessions")["Count"] == 1


def test_an_ended_session_is_counted_once_by_its_channel(
    dynamodb: DynamoDBClient, logged: list[dict[str, Any]]
) -> None:
    assert dynamodb
    session_id = json.loads(handler(make_event({"channel": "Fax"}), CONTEXT)["body"])["id"]
    for _ in range(2):
        handler(make_end(session_id), CONTEXT)
    assert [read_metrics(line) for line in logged[1:]] == [
        {"SessionsEnded": {"service": "sessions", "channel": "Fax"}},
        {},
    ]


def test_a_replay_is_not_counted_as_a_created_session(directory: DynamoDBClient, logged: list[dict[str, Any]]) -> None:
    for _ in range(2):
        handler(make_event({"channel": "Voice"}, key="a"), CONTEXT)
    assert [read_metrics(line) for line in logged] == [
        {"SessionsCreated": {"service": "sessions", "channel": "Voice"}},
        {"Replays": {"service": "sessions"}},
    ]
    assert directory.scan(TableName="sessions")["Count"] == 1


@pytest.mark.parametrize("code", ERRORS)
def test_every_error_is_counted_by_its_code(
    monkeypatch: pytest.MonkeyPatch, logged: list[dict[str, Any]], code: str
) -> None:
    def fail(*_: object) -> None:
        raise ServiceError(code)

    monkeypatch.setattr(store, "put_session", fail)
    status = handler(make_event({}), CONTEXT)["statusCode"]
    assert read_metrics(logged[-1]) == {"ErrorResponses": {"service": "sessions", "errorCode": code}}
    tracebacks = logged[:-1]
    assert [read_metrics(line) for line in tracebacks] == ([{}] if status >= 500 else [])


def test_a_read_is_logged_and_has_no_metric(dynamodb: DynamoDBClient, logged: list[dict[str, Any]]) -> None:
    created = json.loads(handler(make_event({}), CONTEXT)["body"])
    handler(make_get(created["id"]), CONTEXT)
    assert (logged[-1]["message"], logged[-1]["session_id"], read_metrics(logged[-1])) == ("Found", created["id"], {})
    assert dynamodb.scan(TableName="sessions")["Count"] == 1


def test_a_cold_start_is_counted_once(
    dynamodb: DynamoDBClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cold_start, "is_cold_start", True)
    for _ in range(2):
        handler(make_event({}), CONTEXT)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [read_metrics(line) for line in lines if "ColdStart" in line] == [
        {"ColdStart": {"service": "sessions", "function_name": "sessions"}}
    ]
    assert dynamodb.scan(TableName="sessions")["Count"] == 2


def test_a_log_line_contains_the_trace_id_of_x_ray(
    dynamodb: DynamoDBClient, monkeypatch: pytest.MonkeyPatch, logged: list[dict[str, Any]]
) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1")
    handler(make_event({}), CONTEXT)
    assert logged[-1]["xray_trace_id"] == "1-5759e988-bd862e3fe1be46a994272793"
    assert dynamodb.scan(TableName="sessions")["Count"] == 1


# ------------------------------------------------------------------------------------------------------------ dashboard


def shown_metrics(template: dict[str, Any]) -> Iterator[Metric]:
    """Yield each metric of the dashboard, also those of its searches."""
    body, _ = template["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    previous: list[str] = []
    for widget in json.loads(body.replace("${AWS::StackName}", STACK))["widgets"]:
        for row in widget["properties"].get("metrics", []):
            *words, options = row
            if words:
                if words[0] == "...":  # stands for the words that this row has in common with the previous one
                    words = previous[: len(previous) - len(words) + 1] + words[1:]
                previous = [previous[at] if word == "." else word for at, word in enumerate(words)]
                yield previous[0], previous[1], frozenset(previous[2::2])
            else:
                search = r"""SEARCH\('\{"([^"]+)",([^}]+)\} MetricName="(\w+)"'"""
                ((namespace, dimensions, name),) = re.findall(search, options["expression"])
                yield namespace, name, frozenset(dimensions.split(","))


@pytest.fixture
def emitted(
    directory: DynamoDBClient,
    monkeypatch: pytest.MonkeyPatch,
    logged: list[dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
) -> set[Metric]:
    """All metrics that the functions emit, read from their log lines."""
    monkeypatch.setattr(cold_start, "is_cold_start", True)
    for body in ({}, {}, {"channel": "none"}):
        handler(make_event(body, key="a"), CONTEXT)
    (item,) = scan(directory)
    handler(make_end(item["id"]), CONTEXT)
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return {
        (STACK, name, frozenset(dimensions))
        for line in logged + [line for line in printed if "ColdStart" in line]
        for name, dimensions in read_metrics(line).items()
    }


def test_the_dashboard_shows_every_metric_of_ours_and_no_metric_that_does_not_exist(
    template: dict[str, Any], emitted: set[Metric]
) -> None:
    shown = set(shown_metrics(template))
    assert {metric for metric in shown if metric[0] == STACK} == emitted
    for namespace, name, dimensions in shown - emitted:
        (dimension,) = dimensions
        assert name in AWS_METRICS[namespace, dimension]


def test_a_bug_is_counted_where_its_alarm_looks(
    dynamodb: DynamoDBClient, template: dict[str, Any], logged: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "put_session", None)
    assert handler(make_event({}), CONTEXT)["statusCode"] == 500
    alarm = template["Resources"]["BugsAlarm"]["Properties"]
    assert read_metrics(logged[-1]) == {
        alarm["MetricName"]: {each["Name"]: each["Value"] for each in alarm["Dimensions"]}
    }
    assert dynamodb.scan(TableName="sessions")["Count"] == 0
