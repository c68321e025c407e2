"""The permissions of the deployed functions, and the packages that they can import.

The tests deploy functions of their own, with the roles and the layer of the stack's functions.
"""

import inspect
import io
import json
import sys
import zipfile
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from stack.conftest import Stack

from local_stack.emulator import find_bridge

type Invoke = Callable[..., Any]


def call_dynamodb(event: list[tuple[str, dict[str, Any]]], _: object) -> list[str]:
    """Runs in a worker. Make calls, and return for each "allowed" or the code of its error."""
    from botocore.exceptions import ClientError  # noqa: PLC0415
    from botocore.session import get_session  # noqa: PLC0415

    outcomes = []
    for call, arguments in event:
        try:
            getattr(get_session().create_client("dynamodb"), call)(**arguments)
            outcomes.append("allowed")
        except ClientError as error:
            outcomes.append(error.response["Error"]["Code"])
    return outcomes


def find_packages(event: list[str], _: object) -> list[str]:
    """Runs in a worker. Return those of the packages that it can import."""
    from importlib.util import find_spec  # noqa: PLC0415

    return [name for name in event if find_spec(name)]


@pytest.fixture
def invoke(stack: Stack) -> Invoke:
    """A function that runs one of the two functions above in Lambda, with the settings of a deployed function."""
    client = stack.client("lambda")

    def invoke(code: Callable[..., object], event: object, like: str, layers: list[str] | None = None) -> Any:  # noqa: ANN401
        settings = stack.function(like)
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("probe.py", "from typing import Any\n" + inspect.getsource(code))
        client.create_function(
            FunctionName="probe",
            Runtime=settings["Runtime"],
            Architectures=settings["Architectures"],
            Role=settings["Role"],
            Environment=settings["Environment"],
            Layers=[layer["Arn"] for layer in settings["Layers"]] if layers is None else layers,
            Timeout=30,
            Handler=f"probe.{code.__name__}",
            Code={"ZipFile": archive.getvalue()},
        )
        try:
            client.get_waiter("function_active_v2").wait(FunctionName="probe", WaiterConfig={"Delay": 0.1})
            reply = client.invoke(FunctionName="probe", Payload=json.dumps(event))
            payload = json.load(reply["Payload"])
        finally:
            client.delete_function(FunctionName="probe")
        assert "FunctionError" not in reply, payload
        return payload

    return invoke


def test_the_api_may_only_put_get_and_update_sessions_and_read_batches(stack: Stack, invoke: Invoke) -> None:
    sessions, directory = stack.outputs()["SessionsTableName"], stack.outputs()["DirectoryTableName"]
    key, entry = {"pk": {"S": "probe#0"}}, {"pk": {"S": "ACCOUNT#probe"}, "sk": {"S": "ACCOUNT"}}
    allowed = [
        ("put_item", {"TableName": sessions, "Item": key}),
        ("get_item", {"TableName": sessions, "Key": key}),
        ("update_item", {"TableName": sessions, "Key": key}),
        ("batch_get_item", {"RequestItems": {directory: {"Keys": [entry]}, sessions: {"Keys": [key]}}}),
    ]
    refused = [
        ("delete_item", {"TableName": sessions, "Key": key}),
        ("scan", {"TableName": sessions}),
        ("get_item", {"TableName": directory, "Key": entry}),
        ("put_item", {"TableName": directory, "Item": entry}),
        ("scan", {"TableName": directory}),
    ]
    expected = ["allowed"] * len(allowed) + ["AccessDeniedException"] * len(refused)
    assert invoke(call_dynamodb, allowed + refused, like="SessionsFunction") == expected


def test_add_claims_may_only_get_an_item_of_the_directory(stack: Stack, invoke: Invoke) -> None:
    sessions, directory = stack.outputs()["SessionsTableName"], stack.outputs()["DirectoryTableName"]
    key = {"pk": {"S": "EMAIL#probe@example.com"}, "sk": {"S": "SIGN_IN"}}
    calls = [
        ("get_item", {"TableName": directory, "Key": key}),
        ("put_item", {"TableName": directory, "Item": key}),
        ("delete_item", {"TableName": directory, "Key": key}),
        ("scan", {"TableName": directory}),
        ("get_item", {"TableName": sessions, "Key": {"pk": {"S": "probe#0"}}}),
    ]
    assert invoke(call_dynamodb, calls, like="AddClaimsFunction") == ["allowed"] + ["AccessDeniedException"] * 4


def test_a_function_can_import_only_the_packages_of_its_layer(invoke: Invoke) -> None:
    names = ["ministack", "boto3", "botocore", "pydantic", "aws_lambda_powertools", "hypercorn", "pip", "pytest"]
    in_layer = ["botocore", "pydantic", "aws_lambda_powertools"]
    assert invoke(find_packages, names, like="SessionsFunction", layers=[]) == []
    assert invoke(find_packages, names, like="SessionsFunction") == in_layer


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="reads Linux's table of sockets")
def test_the_stack_listens_on_this_machine_only(stack: Stack) -> None:
    group = json.loads((stack.state / "lock").read_text())["pid"]
    sockets = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if int((process / "stat").read_text().rpartition(")")[2].split()[2]) == group:
                sockets |= {link.readlink().name for link in (process / "fd").iterdir()}
        except (FileNotFoundError, ProcessLookupError):
            continue  # the process ended meanwhile
    listening = []
    for table in ("tcp", "tcp6"):
        for line in (Path("/proc/net") / table).read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            if state == "0A" and f"socket:[{inode}]" in sockets:
                listening.append(local)
    # No other machine reaches Docker's bridge either.
    addresses = [ip_address(address) for address in ("127.0.0.1", find_bridge(0)) if address]
    expected = [f"{int.from_bytes(address.packed, sys.byteorder):08X}:{stack.port:04X}" for address in addresses]
    assert sorted(listening) == sorted(expected)
