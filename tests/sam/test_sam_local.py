"""The built function in a container of the Lambda runtime, run by `sam local invoke`, against a DynamoDB of moto."""

import ipaddress
import json
import os
import platform
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from conftest import ROOT
from moto.server import ThreadedMotoServer


def find_bridge() -> str | None:
    """The address of this machine that Docker's containers reach. None if no engine answers, or it runs in a VM."""
    if not (docker := shutil.which("docker")):
        return None
    inspect = [docker, "network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Subnet}}"]
    done = subprocess.run(inspect, capture_output=True, text=True, check=False)
    if done.returncode:
        return None
    address = str(ipaddress.ip_network(done.stdout.strip())[1])
    with socket.socket() as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return None
    return address


BRIDGE = find_bridge()
pytestmark = pytest.mark.skipif(BRIDGE is None, reason="no Docker engine answers on this machine")


@pytest.fixture
def endpoint(template: dict[str, Any]) -> Iterator[str]:
    """A DynamoDB with the sessions table of the template, where containers reach it."""
    server = ThreadedMotoServer(ip_address=str(BRIDGE), port=0, verbose=False)
    server.start()
    try:
        url = "http://{}:{}".format(*server.get_host_and_port())
        properties = template["Resources"]["SessionsTable"]["Properties"]
        boto3.client("dynamodb", endpoint_url=url).create_table(
            TableName="sessions",
            BillingMode=properties["BillingMode"],
            KeySchema=properties["KeySchema"],
            AttributeDefinitions=properties["AttributeDefinitions"],
        )
        yield url
    finally:
        server.stop()


def test_the_built_function_creates_a_session_in_the_lambda_runtime(endpoint: str, tmp_path: Path) -> None:
    variables = tmp_path / "variables.json"
    variables.write_text(json.dumps({"Parameters": {"AWS_ENDPOINT_URL": endpoint, "SESSIONS_TABLE": "sessions"}}))
    architecture = "arm64" if platform.machine() in {"aarch64", "arm64"} else "x86_64"
    invoked = subprocess.run(
        [
            ROOT / "tools/sam/.venv/bin/sam",
            *("local", "invoke", "CreateSessionFunction", "--skip-pull-image"),
            *("--template", ROOT / ".aws-sam/local/template.yaml"),
            *("--event", ROOT / "events/create-session.json"),
            *("--env-vars", variables, "--layer-cache-basedir", tmp_path),
            *("--parameter-overrides", f"Architecture={architecture}"),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env=os.environ | {"TMPDIR": str(tmp_path)},  # sam leaves files there
    )
    assert invoked.returncode == 0, invoked.stderr
    response = json.loads(invoked.stdout.splitlines()[-1])
    session = json.loads(response["body"])
    assert response["statusCode"] == 200, invoked.stderr
    key = {"pk": {"S": f"{session['accountId']}#{session['id']}"}}
    item = boto3.client("dynamodb", endpoint_url=endpoint).get_item(TableName="sessions", Key=key)["Item"]
    assert item["dateCreated"] == {"S": session["dateCreated"]}
