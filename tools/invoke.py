"""Run an event in its function, in the container of Lambda's runtime, with an AWS in memory that holds the demo data.

The local stack cannot serve the container, because it listens on 127.0.0.1 only.
"""

import ipaddress
import json
import logging
import os
import socket
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import boto3
import yaml
from moto.server import ThreadedMotoServer

import fake_aws
from local_stack.deployment import ARCHITECTURE, BUILT, SAM
from local_stack.emulator import use_endpoint

HOST = "host.docker.internal"  # the name of this machine in a container


def docker(*arguments: str) -> str:
    """Return the output of a docker command."""
    try:
        return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        raise SystemExit(f"Docker is needed: {getattr(error, 'stderr', error)}".strip()) from None


def find_address() -> str:
    """Return the address of this machine that containers reach as HOST."""
    subnet = docker("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Subnet}}")
    bridge = str(ipaddress.ip_network(subnet.strip())[1])
    try:
        socket.create_server((bridge, 0)).close()
    except OSError:  # the engine runs in a virtual machine, which forwards HOST to 127.0.0.1
        return "127.0.0.1"
    return bridge


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
        environment = os.environ | fake_aws.VARIABLES | endpoints | {"TMPDIR": folder}
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
        os.environ.update(fake_aws.VARIABLES, POWERTOOLS_LOG_LEVEL="ERROR")
        fake_aws.make_tables(boto3.client, yaml.safe_load(BUILT.read_text())["Resources"])
        fake_aws.add_demo_data(boto3.client)
        for _ in range(2 if "idempotency-key" in event.get("headers", {}) else 1):  # the second call shows the replay
            invoke(fake_aws.find_function(path.stem, event), path, address, port)
    finally:
        server.stop()


if __name__ == "__main__":
    main()
