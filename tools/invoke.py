"""Run an event in its function, in the container of Lambda's runtime, with an AWS in memory that holds the demo data.

It needs no local stack. `sam local invoke` runs an event with the tables of the local stack.
"""

import json
import logging
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import boto3
import yaml
from moto.server import ThreadedMotoServer

from local_stack.deployment import ARCHITECTURE, BUILT, SAM
from local_stack.emulator import ROOT, find_bridge, use_endpoint

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

EVENTS = ROOT / "events"
HOST = "host.docker.internal"  # the name of this machine in a container
# The environment of the functions, which names the resources.
VARIABLES = {
    "SESSIONS_TABLE": "sessions",
    "DIRECTORY_TABLE": "directory",
    "EVENT_BUS": "sessions",
    "DEAD_LETTERS": "https://sqs.us-east-1.amazonaws.com/123456789012/dead-letters",
}


def make_tables(dynamodb: "DynamoDBClient", resources: dict[str, Any]) -> None:
    """Create the tables of a template."""
    for name, table in (("sessions", "SessionsTable"), ("directory", "DirectoryTable")):
        properties = {each: resources[table]["Properties"][each] for each in ("KeySchema", "AttributeDefinitions")}
        dynamodb.create_table(TableName=name, BillingMode="PAY_PER_REQUEST", **properties)


def add_demo_data() -> None:
    """Import the demo directory; add the sessions of publish-events.json, the bus and the queue."""
    # The function reads its environment when Python imports it.
    import_module("directory.import_directory").handler(
        json.loads((EVENTS / "import-directory.json").read_text()), None
    )
    for record in json.loads((EVENTS / "publish-events.json").read_text())["Records"]:
        boto3.client("dynamodb").put_item(TableName="sessions", Item=record["dynamodb"]["NewImage"])
    boto3.client("events").create_event_bus(Name="sessions")
    boto3.client("sqs").create_queue(QueueName="dead-letters")


def find_function(name: str, event: dict[str, Any]) -> str:
    """Return the function of an event: requests are for SessionsFunction, publish-events for PublishEventsFunction."""
    if "routeKey" in event:
        return "SessionsFunction"
    return "".join(word.capitalize() for word in name.split("-")[:2]) + "Function"


def docker(*arguments: str) -> str:
    """Return the output of a docker command."""
    try:
        return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        raise SystemExit(f"Docker is needed: {getattr(error, 'stderr', error)}".strip()) from None


def find_address() -> str:
    """Return the address of this machine that containers reach as HOST."""
    docker("version")
    return find_bridge(0) or "127.0.0.1"


def invoke(function: str, path: Path, address: str, port: int) -> None:
    """Run `sam local invoke`, which prints the answer on standard output and the logs on standard error."""
    endpoints = {
        "AWS_ENDPOINT_URL": f"http://{HOST}:{port}",
        "AWS_ENDPOINT_URL_STS": f"http://{address}:{port}",  # sam itself asks for the account
    }
    with TemporaryDirectory() as folder:
        command: list[str | Path] = [SAM, "local", "invoke", function]
        command += ["--template", BUILT, "--event", path, "--skip-pull-image"]
        command += ["--parameter-overrides", f"Architecture={ARCHITECTURE}", "--add-host", f"{HOST}:host-gateway"]
        environment = os.environ | VARIABLES | endpoints | {"TMPDIR": folder}
        try:
            done = subprocess.run([*command, "--layer-cache-basedir", folder], env=environment, check=False)
        except KeyboardInterrupt:  # sam would wait until the function ends
            for container in docker("ps", "--all", "--quiet", "--filter", f"volume={BUILT.parent / function}").split():
                docker("rm", "--force", container)
            raise SystemExit("Interrupted.") from None
    if done.returncode:
        raise SystemExit("sam local invoke failed.")


def main() -> None:
    path, address = Path(sys.argv[1]), find_address()
    try:
        event = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise SystemExit(f"{path} cannot be read: {error}") from None
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address=address, port=0, verbose=False)
    server.start()
    try:
        _, port = server.get_host_and_port()
        use_endpoint(f"http://{address}:{port}")
        os.environ.update(VARIABLES, POWERTOOLS_LOG_LEVEL="ERROR")
        make_tables(boto3.client("dynamodb"), yaml.safe_load(BUILT.read_text())["Resources"])
        add_demo_data()
        for _ in range(2 if "idempotency-key" in event.get("headers", {}) else 1):  # the second call shows the replay
            invoke(find_function(path.stem, event), path, address, port)
    finally:
        server.stop()


if __name__ == "__main__":
    main()
