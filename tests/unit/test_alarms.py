"""The metrics of the alarms. Only these tests notice an alarm with a wrong metric."""

import re
from typing import Any

import pytest

type Properties = dict[str, Any]

NAMESPACE = {"Ref": "AWS::StackName"}
NO_VALUE = {"Ref": "AWS::NoValue"}
MESSAGES = "ApproximateNumberOfMessagesVisible"
NO_ALARMS = {"ImportDirectoryFunction"}  # its caller waits for the answer
# Alarm: namespace, metric, statistic, watched resource, threshold, and (data points, periods, seconds of a period).
ONCE, OFTEN = (1, 1, 60), (3, 5, 60)
ALARMS: dict[str, tuple[Any, str, str, str, float, tuple[int, int, int]]] = {
    "BugsAlarm": (NAMESPACE, "ErrorResponses", "Sum", "InternalServerError", 0, ONCE),
    "ApiFailuresAlarm": ("AWS/ApiGateway", "5xx / Count", "Sum", "Api", 0.05, OFTEN),
    "ApiLatencyAlarm": ("AWS/ApiGateway", "Latency", "p99", "Api", 3000, OFTEN),
    "SessionsWriteThrottlesAlarm": ("AWS/DynamoDB", "WriteThrottleEvents", "Sum", "SessionsTable", 0, ONCE),
    "SessionsReadThrottlesAlarm": ("AWS/DynamoDB", "ReadThrottleEvents", "Sum", "SessionsTable", 0, ONCE),
    "DirectoryReadThrottlesAlarm": ("AWS/DynamoDB", "ReadThrottleEvents", "Sum", "DirectoryTable", 0, ONCE),
    "PublishDelayAlarm": ("AWS/Lambda", "IteratorAge", "Maximum", "PublishEventsFunction", 60_000, (1, 1, 300)),
    "PublishDeadLettersAlarm": ("AWS/SQS", MESSAGES, "Maximum", "PublishDeadLetters", 0, ONCE),
    "FlowStartDelayAlarm": ("AWS/SQS", "ApproximateAgeOfOldestMessage", "Maximum", "FlowStartQueue", 300, ONCE),
    "FlowStartDeadLettersAlarm": ("AWS/SQS", MESSAGES, "Maximum", "FlowStartDeadLetters", 0, ONCE),
}


def resolve(properties: Properties) -> Properties:
    """Return the properties of an alarm on AWS, where HasEndpoint is false. Metric math becomes one metric."""
    resolved = {
        name: value["Fn::If"][2] if isinstance(value, dict) and value.get("Fn::If", [""])[0] == "HasEndpoint" else value
        for name, value in properties.items()
    }
    resolved = {name: value for name, value in resolved.items() if value != NO_VALUE}
    if "Metrics" in resolved:
        share, *operands = resolved.pop("Metrics")
        assert [each["ReturnData"] for each in operands] == [False, False]
        names = {each["Id"]: each["MetricStat"]["Metric"]["MetricName"] for each in operands}
        for stat in [each["MetricStat"] for each in operands]:
            one = stat["Metric"] | {"Statistic": stat["Stat"], "Period": stat["Period"], "MetricName": ""}
            assert resolved.setdefault("one", one) == one  # both metrics have the same dimensions and period
        resolved |= resolved.pop("one")
        resolved["MetricName"] = re.sub(r"\w+", lambda name: names[name[0]], share["Expression"])
    return resolved


@pytest.fixture(scope="session")
def alarms(template: dict[str, Any]) -> dict[str, Properties]:
    """The alarms of a stack on AWS."""
    resources = template["Resources"].items()
    return {name: resolve(each["Properties"]) for name, each in resources if each["Type"] == "AWS::CloudWatch::Alarm"}


def test_changing_what_an_alarm_watches_requires_changing_this_test(
    template: dict[str, Any], alarms: dict[str, Properties]
) -> None:
    functions = {name for name, each in template["Resources"].items() if each["Type"] == "AWS::Serverless::Function"}
    expected = ALARMS | {
        f"{function.removesuffix('Function')}{metric}Alarm": ("AWS/Lambda", metric, "Sum", function, 0, ONCE)
        for function in functions - NO_ALARMS
        for metric in ("Errors", "Throttles")
    }
    watched = {}
    for name, alarm in alarms.items():
        value = alarm["Dimensions"][-1]["Value"]
        periods = alarm["EvaluationPeriods"]
        watched[name] = (
            alarm["Namespace"],
            alarm["MetricName"],
            alarm.get("Statistic") or alarm["ExtendedStatistic"],
            value if isinstance(value, str) else value.get("Ref") or value["Fn::GetAtt"].removesuffix(".QueueName"),
            alarm["Threshold"],
            (alarm.get("DatapointsToAlarm", periods), periods, alarm["Period"]),
        )
    assert watched == expected
    # The functions must emit their own metrics where BugsAlarm looks for them.
    variables = template["Globals"]["Function"]["Environment"]["Variables"]
    assert variables["POWERTOOLS_METRICS_NAMESPACE"] == NAMESPACE


def test_every_alarm_notifies_the_topic_and_is_quiet_without_traffic(alarms: dict[str, Properties]) -> None:
    topic = {"Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopicArn"}], NO_VALUE]}
    for name, alarm in alarms.items():
        assert alarm["AlarmActions"] == topic, name
        assert alarm["ComparisonOperator"] == "GreaterThanThreshold", name
        assert alarm["TreatMissingData"] == "notBreaching", name


def test_every_alarm_says_what_happened_and_what_to_do_first(alarms: dict[str, Properties]) -> None:
    """The alarm table of docs/operations.md is generated from this form."""
    for name, alarm in alarms.items():
        assert re.fullmatch(r"[A-Z].+\. Action: [A-Z].+\.", alarm["AlarmDescription"]), name


def test_the_dashboard_shows_every_alarm_that_each_stack_has(
    template: dict[str, Any], alarms: dict[str, Properties]
) -> None:
    body, _ = template["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    shown = re.findall(r'"\$\{(\w+Alarm)\.Arn\}"', body)
    assert sorted(shown) == sorted(name for name in alarms if "Condition" not in template["Resources"][name])
