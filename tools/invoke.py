"""Runs an event in the built function in Lambda's container, by `sam local invoke`; `make invoke`.

The function finds an AWS in memory that is made for it and ends with it: the tables of the template, the demo directory
and the sessions of events/publish-events.json in them, the bus and the dead letters. It is not the local stack, which
containers do not reach, as it listens on 127.0.0.1, and whose state would change what an event is answered.

The answer is printed on standard output, what the function logged on standard error. Each failure is one sentence.
"""

import argparse
import ipaddress
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import boto3
import yaml
from moto.server import ThreadedMotoServer

from directory.entries import make_entries, make_sign_in
from directory.models import Directory
from local_stack import ARCHITECTURE, BUILT, DIRECTORY, ROOT, SAM, step, use_emulator

IMAGE = f"public.ecr.aws/lambda/python:3.13-{ARCHITECTURE}"
ANNOUNCED = ROOT / "events/publish-events.json"
CONTAINER = re.compile(r"^SAM_CONTAINER_ID: (\w+)", re.MULTILINE)  # in what sam says
HOST = "host.docker.internal"  # this machine, to a container

# What the functions use, by the variables that tell them.
VARIABLES = {
    "SESSIONS_TABLE": "sessions",
    "DIRECTORY_TABLE": "directory",
    "EVENT_BUS": "sessions",
    "DEAD_LETTERS": "https://sqs.us-east-1.amazonaws.com/123456789012/dead-letters",
}

type Resources = dict[str, Any]


def find_function(event: Path, resources: Resources) -> str:
    """The function that an event is for, by its name: create-session-jsonp.json is for CreateSessionFunction."""
    functions = [name for name, resource in resources.items() if resource["Type"] == "AWS::Serverless::Function"]
    names = [re.sub(r"\B[A-Z]", r"-\g<0>", each.removesuffix("Function")).lower() for each in functions]
    for name, function in zip(names, functions, strict=True):
        if f"{event.stem}-".startswith(f"{name}-"):
            return function
    raise SystemExit(f"{event} tells no function: its name must begin with {' or '.join(names)}.")


def read_resources() -> Resources:
    """The resources of the built template."""
    resources: Resources = yaml.safe_load(BUILT.read_text())["Resources"]
    return resources


def docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a command of Docker to its end. Raises SystemExit if there is no Docker."""
    try:
        return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise SystemExit("Docker is needed, and is not to be found.") from None


def find_address() -> str:
    """The address of this machine that containers reach as HOST. Raises SystemExit if no Docker engine answers."""
    found = docker("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Subnet}}")
    if found.returncode:
        raise SystemExit(f"Docker is needed, and no engine answers: {found.stderr.strip()}")
    bridge = str(ipaddress.ip_network(found.stdout.strip())[1])
    with socket.socket() as probe:
        try:
            probe.bind((bridge, 0))
        except OSError:  # the engine is in a virtual machine, which hands HOST on to this address
            return "127.0.0.1"
    return bridge


def get_image() -> None:
    """Pulls the image of the Lambda runtime unless it is here. Raises SystemExit."""
    if docker("image", "inspect", IMAGE).returncode:
        with step("Pulling the image of the Lambda runtime"):
            pulled = docker("pull", "--quiet", IMAGE)
            if pulled.returncode:
                raise SystemExit(f"{IMAGE} is not here, and cannot be pulled: {pulled.stderr.strip()}")


@contextmanager
def serve(address: str) -> Iterator[int]:
    """An AWS in memory, empty, at this address; the port that it takes."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it logs each call
    server = ThreadedMotoServer(ip_address=address, port=0, verbose=False)
    server.start()
    try:
        yield server.get_host_and_port()[1]
    finally:
        server.stop()


def make_tables(resources: Resources) -> None:
    """Makes the tables of a template in the AWS that boto3 is turned to, so that keys here and there cannot differ."""
    dynamodb = boto3.client("dynamodb")
    for variable, table in (("SESSIONS_TABLE", "SessionsTable"), ("DIRECTORY_TABLE", "DirectoryTable")):
        properties = resources[table]["Properties"]
        dynamodb.create_table(
            TableName=VARIABLES[variable],
            BillingMode=properties["BillingMode"],
            KeySchema=properties["KeySchema"],
            AttributeDefinitions=properties["AttributeDefinitions"],
        )


def fill() -> None:
    """Puts what the events refer to into the tables, and makes the bus and the queue of dead letters."""
    directory = boto3.resource("dynamodb").Table(VARIABLES["DIRECTORY_TABLE"])
    with directory.batch_writer() as batch:
        for account in Directory.model_validate_json(DIRECTORY.read_bytes()).accounts:
            for item in [*make_entries(account), *(make_sign_in(account, user) for user in account.users)]:
                batch.put_item(Item=item)
    for record in json.loads(ANNOUNCED.read_text())["Records"]:
        image = record["dynamodb"]["NewImage"]
        boto3.client("dynamodb").put_item(TableName=VARIABLES["SESSIONS_TABLE"], Item=image)
    boto3.client("events").create_event_bus(Name=VARIABLES["EVENT_BUS"])
    boto3.client("sqs").create_queue(QueueName=VARIABLES["DEAD_LETTERS"].rpartition("/")[2])


def invoke(function: str, event: Path, address: str, port: int) -> tuple[Any, list[str]]:
    """What the function answers to an event, and what it logged. Raises SystemExit if it does not answer."""
    with TemporaryDirectory(prefix="invoke-") as scratch, Path(scratch, "log").open("w") as log:
        with subprocess.Popen(
            [
                *(SAM, "local", "invoke", function, "--template", BUILT, "--event", event, "--skip-pull-image"),
                *("--parameter-overrides", f"Architecture={ARCHITECTURE}", "--add-host", f"{HOST}:host-gateway"),
                *("--layer-cache-basedir", scratch),
            ],
            env=os.environ
            | VARIABLES  # sam hands on those that the template declares
            | {
                "AWS_ENDPOINT_URL": f"http://{HOST}:{port}",
                "AWS_ENDPOINT_URL_STS": f"http://{address}:{port}",  # sam itself asks for the account
                "PYTHONDONTWRITEBYTECODE": "",  # sam starts in 1.2 s with bytecode, and in 2.9 s without
                "SAM_CLI_TELEMETRY": "0",
                "TMPDIR": scratch,  # where sam leaves files
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,  # an interrupt is for us
        ) as process:
            try:
                answer, _ = process.communicate()
            except BaseException:  # interrupted, sam would wait for the time that the function may take
                process.kill()
                docker("rm", "--force", *CONTAINER.findall(Path(log.name).read_text()))
                raise
        said = Path(log.name).read_text()
    if process.returncode or not answer.strip():
        print(said.strip(), file=sys.stderr)
        raise SystemExit("sam local invoke failed; what it said is above.")
    logged = [line for line in said.splitlines() if line.startswith("{")]  # the rest is sam's
    return json.loads(answer.splitlines()[-1]), logged


def count_calls(event: dict[str, Any]) -> int:
    """How often an event is to be sent to show what it is for: twice with an Idempotency-Key, else once."""
    return 2 if "idempotency-key" in event.get("headers", {}) else 1


def run(event: Path) -> None:
    """Invokes the function that the event is for, and prints what it answers."""
    if not all(path.exists() for path in (BUILT, SAM)):
        raise SystemExit("Something that this needs is missing: run make invoke, which builds and installs it.")
    resources = read_resources()
    function = find_function(event, resources)
    try:
        content = json.loads(event.read_text())
    except (OSError, ValueError) as error:
        raise SystemExit(f"{event} cannot be read: {error}") from None
    if not isinstance(content, dict):
        raise SystemExit(f"{event} is no event: it must be a JSON object.")
    address = find_address()
    get_image()
    with serve(address) as port:
        use_emulator(port, address)
        make_tables(resources)
        fill()
        for _ in range(count_calls(content)):
            with step(f"Invoking {function}"):
                answer, logged = invoke(function, event, address, port)
            for line in logged:
                print(line, file=sys.stderr)
            with suppress(KeyError, TypeError, ValueError):  # not JSON, as JSONP is not, or no reply to a request
                answer["body"] = json.loads(answer["body"])
            print(json.dumps(answer, indent=2, ensure_ascii=False))
            if "errorType" in answer:
                raise SystemExit(f"{function} raised {answer['errorType']}.")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("event", type=Path, help="a file of the folder events, or one that is named like them")
    for number in (signal.SIGINT, signal.SIGTERM):  # so that both clean up in the same way, in the background too
        signal.signal(number, signal.default_int_handler)
    try:
        run(parser.parse_args().event)
    except KeyboardInterrupt:
        raise SystemExit("Interrupted.") from None


if __name__ == "__main__":
    main()
