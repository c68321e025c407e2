"""`make smoke` against the local stack: a working one, a broken one, and the remains."""

import io
import json
import signal
import subprocess
import zipfile
from collections.abc import Iterator

import pytest
from stack.conftest import Stack, command

STEPS = [
    "import two accounts",
    "create a session",
    "refuse to read it in another account: 404",
    "receive its event",
    "end a session",
]


def start(stack: Stack) -> subprocess.Popen[str]:
    """Start the smoke test of the local stack."""
    smoke = command(stack.state, "smoke")
    return subprocess.Popen(smoke, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def find_remains(stack: Stack) -> list[str]:
    """Return everything in the stack that has the name of a smoke test."""
    rules = stack.client("events").list_rules(EventBusName=stack.outputs()["EventBusName"])["Rules"]
    users = stack.client("cognito-idp").list_users(UserPoolId=stack.outputs()["UserPoolId"])["Users"]
    queues = stack.client("sqs").list_queues()["QueueUrls"]
    tables = [
        stack.table(name).scan(ConsistentRead=True)["Items"] for name in ("SessionsTableName", "DirectoryTableName")
    ]
    found = [json.dumps(each, default=str) for each in (*rules, *users, *queues, *tables[0], *tables[1])]
    return [each for each in found if "smoke-" in each]


@pytest.fixture
def broken_version(stack: Stack) -> Iterator[None]:
    """A version of the API that answers every request with an empty session."""
    functions, gateway, api = stack.client("lambda"), stack.client("apigatewayv2"), stack.outputs()["ApiId"]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("broken.py", "def handler(event, context):\n    return {'statusCode': 200, 'body': '{}'}\n")
    function = functions.create_function(
        FunctionName="broken",
        Runtime="python3.13",
        Role=stack.function("SessionsFunction")["Role"],
        Handler="broken.handler",
        Code={"ZipFile": archive.getvalue()},
    )
    (integration,) = gateway.get_integrations(ApiId=api)["Items"]
    target = {"ApiId": api, "IntegrationId": integration["IntegrationId"]}
    gateway.update_integration(**target, IntegrationUri=function["FunctionArn"])
    try:
        yield
    finally:
        gateway.update_integration(**target, IntegrationUri=integration["IntegrationUri"])
        functions.delete_function(FunctionName="broken")


def test_two_smoke_tests_at_the_same_time_pass_and_leave_nothing(stack: Stack) -> None:
    with start(stack) as first, start(stack) as second:
        for smoke in (first, second):
            printed, errors = smoke.communicate(timeout=120)
            assert (smoke.returncode, errors) == (0, "")
            assert [step for step in STEPS if f" ms  {step}\n" not in printed] == []
    assert find_remains(stack) == []


@pytest.mark.usefixtures("broken_version")
def test_the_smoke_test_fails_on_a_broken_version_and_leaves_nothing(stack: Stack) -> None:
    with start(stack) as smoke:
        printed, errors = smoke.communicate(timeout=120)
    assert (smoke.returncode, errors) == (
        1,
        "   FAILED  create a session: its account and creator are (None, None)\n",
    )
    assert "read the session" not in printed
    assert find_remains(stack) == []


def test_an_interrupted_smoke_test_leaves_nothing(stack: Stack) -> None:
    with start(stack) as smoke:
        assert smoke.stdout
        while "create a session" not in smoke.stdout.readline():
            pass
        smoke.send_signal(signal.SIGINT)
        _, errors = smoke.communicate(timeout=120)
    assert (smoke.returncode, errors) == (1, "Interrupted.\n")
    assert find_remains(stack) == []
