"""What operators see: the metrics in the log lines, and a dashboard and alarms that look at metrics which exist."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from aws_lambda_powertools.metrics.provider import cold_start
from conftest import CONTEXT, ROOT, make_event, make_get
from mypy_boto3_dynamodb import DynamoDBClient

from sessions import create_session, get_session, store
from sessions.errors import ERRORS, ServiceError

type Metric = tuple[str, str, frozenset[str]]
"""Namespace, name, and the names of its dimensions."""

STACK = "sessions"  # the namespace that conftest gives to the functions; the stack's name in the template

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
    ("AWS/SQS", "QueueName"): {"ApproximateAgeOfOldestMessage", "ApproximateNumberOfMessagesVisible"},
}


def measured(line: dict[str, Any]) -> dict[str, dict[str, str]]:
    """The metrics that CloudWatch takes from a log line, each counted once, with their dimensions."""
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
    """Cold starts are a test of their own."""
    monkeypatch.setattr(cold_start, "is_cold_start", False)


@pytest.mark.parametrize("channel", ["Voice", "Chat", "Fax", None])
def test_a_created_session_is_counted_by_its_channel(
    dynamodb: DynamoDBClient, logged: list[dict[str, Any]], channel: str | None
) -> None:
    handler.handler(make_event({"channel": channel}), CONTEXT)
    assert [measured(line) for line in logged] == [
        {"SessionsCreated": {"service": "sessions", "channel": channel or "None"}}
    ]
    assert dynamodb.scan(TableName="sessions")["Count"] == 1


def test_a_replay_is_counted_and_no_second_session(directory: DynamoDBClient, logged: list[dict[str, Any]]) -> None:
    for _ in range(2):
        handler.handler(make_event({"channel": "Voice"}, key="a"), CONTEXT)
    assert [list(measured(line)) for line in logged if "status" in line] == [["SessionsCreated"], ["Replays"]]
    assert measured(logged[-1])["Replays"] == {"service": "sessions"}
    assert directory.scan(TableName="sessions")["Count"] == 1


@pytest.mark.parametrize("code", ERRORS)
def test_every_error_is_counted_by_its_code(
    monkeypatch: pytest.MonkeyPatch, logged: list[dict[str, Any]], code: str
) -> None:
    def fail(*_: object) -> None:
        raise ServiceError(code)

    monkeypatch.setattr(store, "put_session", fail)
    handler.handler(make_event({}), CONTEXT)
    assert measured(logged[-1]) == {"Refusals": {"service": "sessions", "errorCode": code}}
    assert sum(bool(measured(line)) for line in logged) == 1  # and not with its trace once more


def test_a_session_that_is_read_is_logged_and_counts_as_nothing(
    dynamodb: DynamoDBClient, logged: list[dict[str, Any]]
) -> None:
    created = json.loads(handler.handler(make_event({}), CONTEXT)["body"])
    handler.handler(make_get(created["id"]), CONTEXT)
    assert (logged[-1]["message"], logged[-1]["session_id"], measured(logged[-1])) == ("Found", created["id"], {})
    assert dynamodb.scan(TableName="sessions")["Count"] == 1


def test_a_cold_start_is_counted_once(
    dynamodb: DynamoDBClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cold_start, "is_cold_start", True)
    for _ in range(2):
        handler.handler(make_event({}), CONTEXT)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [measured(line) for line in lines if "ColdStart" in line] == [
        {"ColdStart": {"service": "sessions", "function_name": "sessions"}}
    ]
    assert dynamodb.scan(TableName="sessions")["Count"] == 2


def test_a_log_line_tells_the_trace_of_x_ray(
    dynamodb: DynamoDBClient, monkeypatch: pytest.MonkeyPatch, logged: list[dict[str, Any]]
) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1")
    handler.handler(make_event({}), CONTEXT)
    assert logged[-1]["xray_trace_id"] == "1-5759e988-bd862e3fe1be46a994272793"
    assert dynamodb.scan(TableName="sessions")["Count"] == 1


# ----------------------------------------------------------------------------------------------- dashboard and alarms


def widgets(template: dict[str, Any]) -> list[dict[str, Any]]:
    """The dashboard's widgets; names that CloudFormation will put in are <Name>."""
    body: str = template["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    content: dict[str, list[dict[str, Any]]] = json.loads(
        re.sub(r"\$\{([\w:.]+)\}", r"<\1>", body.replace("${AWS::StackName}", STACK))
    )
    return content["widgets"]


def written_out(widget: dict[str, Any]) -> Iterator[tuple[str, str, list[str], list[str]]]:
    """Namespace, name, dimensions and their values of each metric of a widget.

    Of its shorthands `.` repeats one word of the metric before, and `...` several.
    """
    previous: list[str] = []
    for row in widget["properties"].get("metrics", []):
        words = [word for word in row if isinstance(word, str)]
        if not words:
            continue
        if words[0] == "...":
            words = previous[: len(previous) - len(words) + 1] + words[1:]
        previous = [previous[at] if word == "." else word for at, word in enumerate(words)]
        yield previous[0], previous[1], previous[2::2], previous[3::2]


def metrics_of(widget: dict[str, Any]) -> Iterator[Metric]:
    """The metrics of a widget, those that it searches for included."""
    for namespace, name, dimensions, _ in written_out(widget):
        yield namespace, name, frozenset(dimensions)
    search = r"""SEARCH\('\{"([^"]+)",([^}]+)\} MetricName="(\w+)"'"""
    for row in widget["properties"].get("metrics", []):
        for namespace, dimensions, name in (
            re.findall(search, str(row[0].get("expression", ""))) if len(row) == 1 else []
        ):
            yield namespace, name, frozenset(dimensions.split(","))


def alarms(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
    resources = template["Resources"].items()
    return {name: each["Properties"] for name, each in resources if each["Type"] == "AWS::CloudWatch::Alarm"}


@pytest.fixture
def emitted(
    directory: DynamoDBClient,
    monkeypatch: pytest.MonkeyPatch,
    logged: list[dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
) -> set[Metric]:
    """All that the functions count, gathered from what they log."""
    monkeypatch.setattr(cold_start, "is_cold_start", True)
    for body in ({}, {}, {"channel": "none"}):
        handler.handler(make_event(body, key="a"), CONTEXT)
    assert directory.scan(TableName="sessions")["Count"] == 1
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return {
        (STACK, name, frozenset(dimensions))
        for line in logged + [line for line in printed if "ColdStart" in line]
        for name, dimensions in measured(line).items()
    }


def test_the_dashboard_shows_metrics_that_are_emitted_and_all_that_are_ours(
    template: dict[str, Any], emitted: set[Metric]
) -> None:
    shown = {metric for widget in widgets(template) for metric in metrics_of(widget)}
    assert {metric for metric in shown if metric[0] == STACK} == emitted
    for namespace, name, dimensions in shown - emitted:
        (dimension,) = dimensions
        assert name in AWS_METRICS[namespace, dimension]


# Alarm by alarm: namespace and metric, how it is counted, of what, above which value it sounds, and in how many of how
# many periods of how many seconds.
ALARMS: dict[str, tuple[str, str, str, str, float, tuple[int, int, int]]] = {
    "BugsAlarm": (STACK, "Refusals", "Sum", "InternalServerError", 0, (1, 1, 60)),
    "ApiFailuresAlarm": ("AWS/ApiGateway", "5xx", "Average", "Api", 0.05, (3, 5, 60)),
    "ApiLatencyAlarm": ("AWS/ApiGateway", "Latency", "p99", "Api", 3000, (3, 5, 60)),
    **{
        f"{function}{metric}Alarm": ("AWS/Lambda", metric, "Sum", f"{function}Function", 0, (1, 1, 60))
        for function in ("CreateSession", "GetSession", "PublishEvents", "AddClaims")
        for metric in ("Errors", "Throttles")
    },
    "SessionsWriteThrottlesAlarm": ("AWS/DynamoDB", "WriteThrottleEvents", "Sum", "SessionsTable", 0, (1, 1, 60)),
    "SessionsReadThrottlesAlarm": ("AWS/DynamoDB", "ReadThrottleEvents", "Sum", "SessionsTable", 0, (1, 1, 60)),
    "DirectoryReadThrottlesAlarm": ("AWS/DynamoDB", "ReadThrottleEvents", "Sum", "DirectoryTable", 0, (1, 1, 60)),
    # Longer than any pause between two attempts, which alone tell the age.
    "PublishDelayAlarm": ("AWS/Lambda", "IteratorAge", "Maximum", "PublishEventsFunction", 60_000, (1, 1, 300)),
    "PublishDeadLettersAlarm": (
        *("AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum", "PublishDeadLetters.QueueName"),
        *(0, (1, 1, 60)),
    ),
    "FlowStartDelayAlarm": (
        *("AWS/SQS", "ApproximateAgeOfOldestMessage", "Maximum", "FlowStartQueue.QueueName"),
        *(300, (1, 1, 60)),
    ),
    "FlowStartDeadLettersAlarm": (
        *("AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum", "FlowStartDeadLetters.QueueName"),
        *(0, (1, 1, 60)),
    ),
}


def test_there_are_these_alarms_and_no_others(template: dict[str, Any]) -> None:
    assert set(alarms(template)) == set(ALARMS)


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_watches_what_it_is_named_for_and_notifies_the_topic(template: dict[str, Any], name: str) -> None:
    properties = alarms(template)[name]
    value = properties["Dimensions"][-1]["Value"]
    periods = properties["EvaluationPeriods"]
    assert ALARMS[name] == (
        properties["Namespace"] if isinstance(properties["Namespace"], str) else STACK,
        properties["MetricName"],
        properties.get("Statistic") or properties["ExtendedStatistic"],
        value if isinstance(value, str) else value.get("Ref") or value["Fn::GetAtt"],
        properties["Threshold"],
        (properties.get("DatapointsToAlarm", periods), periods, properties["Period"]),
    )
    assert properties["AlarmDescription"]
    assert properties["ComparisonOperator"] == "GreaterThanThreshold"
    assert properties["TreatMissingData"] == "notBreaching"
    notified = {"Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopicArn"}], {"Ref": "AWS::NoValue"}]}
    assert properties["AlarmActions"] == notified


def test_the_alarms_watch_metrics_that_exist(template: dict[str, Any], emitted: set[Metric]) -> None:
    for properties in alarms(template).values():
        names = [each["Name"] for each in properties["Dimensions"]]
        if properties["Namespace"] == {"Ref": "AWS::StackName"}:
            assert (STACK, properties["MetricName"], frozenset(names)) in emitted
        else:
            (dimension,) = names
            assert properties["MetricName"] in AWS_METRICS[properties["Namespace"], dimension]


def test_a_bug_is_counted_where_its_alarm_looks(
    dynamodb: DynamoDBClient, template: dict[str, Any], logged: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "put_session", None)
    assert handler.handler(make_event({}), CONTEXT)["statusCode"] == 500
    watched = {each["Name"]: each["Value"] for each in alarms(template)["BugsAlarm"]["Dimensions"]}
    assert measured(logged[-1]) == {"Refusals": watched}
    assert dynamodb.scan(TableName="sessions")["Count"] == 0


def test_every_function_that_others_call_has_alarms_of_its_errors_and_throttles(template: dict[str, Any]) -> None:
    functions = {name for name, each in template["Resources"].items() if each["Type"] == "AWS::Serverless::Function"}
    called = functions - {"ImportDirectoryFunction"}  # whose caller waits for its answer
    names = {f"{name.removesuffix('Function')}{metric}Alarm" for metric in ("Errors", "Throttles") for name in called}
    assert names <= set(ALARMS)


def test_the_dashboard_looks_at_resources_of_the_kind_that_the_metric_has(template: dict[str, Any]) -> None:
    kinds = {"ApiId": "::Api", "FunctionName": "::Function", "TableName": "::Table", "QueueName": "::Queue"}
    body: str = template["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    for widget in widgets(template):
        for namespace, name, dimensions, values in written_out(widget):
            for dimension, value in zip(dimensions, values, strict=True):
                if dimension in kinds:
                    kind = template["Resources"][value.strip("<>").removesuffix(".QueueName")]["Type"]
                    assert kind.endswith(kinds[dimension]), (namespace, name)
    named = set(re.findall(r"SOURCE '\$\{(\w+)\}'", body))
    assert named == {"CreateSessionLogGroup", "GetSessionLogGroup", "PublishEventsLogGroup"}


def test_the_dashboard_shows_every_alarm_that_each_stack_has(template: dict[str, Any]) -> None:
    (shown,) = [widget["properties"]["alarms"] for widget in widgets(template) if widget["type"] == "alarm"]
    always = {name for name in alarms(template) if "Condition" not in template["Resources"][name]}
    assert {arn.removeprefix("<").removesuffix(".Arn>") for arn in shown} == always


def test_operations_tells_what_to_do_at_each_alarm(template: dict[str, Any]) -> None:
    section = (ROOT / "docs/operations.md").read_text().partition("\n## Alarms\n")[2].partition("\n## ")[0]
    told = {name for row in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert told == set(alarms(template))


def test_metrics_of_two_stacks_are_apart_and_calls_are_traced(template: dict[str, Any]) -> None:
    function = template["Globals"]["Function"]
    assert function["Environment"]["Variables"]["POWERTOOLS_METRICS_NAMESPACE"] == {"Ref": "AWS::StackName"}
    assert function["Tracing"] == "Active"


def test_the_access_log_has_nothing_of_a_person(template: dict[str, Any]) -> None:
    settings = template["Resources"]["ApiStage"]["Properties"]["AccessLogSettings"]
    assert settings["DestinationArn"] == {"Fn::GetAtt": "ApiLogGroup.Arn"}
    line = json.loads(settings["Format"])
    assert line["request_id"] == "$context.requestId"
    assert {value.removeprefix("$context.") for value in line.values()} == {
        *("requestId", "requestTime", "routeKey", "status", "responseLatency", "responseLength"),
        *("integration.status", "integration.latency", "integration.error", "authorizer.error", "error.responseType"),
    }
