"""The deployment of the built template to the emulator."""

import json
import os
import platform
import subprocess
import tomllib
from pathlib import Path

import boto3
import yaml

from deployed_stack import describe_stack, read_outputs
from local_stack.emulator import ROOT, find_emulator, last_line

SAM = ROOT / "tools/sam/.venv/bin/sam"
BUILT = ROOT / ".aws-sam/local/template.yaml"
SETTINGS = ROOT / "samconfig.toml"
STACK_NAME = "sessions"  # as in samconfig.toml
CONTAINER_HOST = "host.docker.internal"  # the name of this machine in a container, as in samconfig.toml
# The architecture of this machine, in Lambda's terms.
ARCHITECTURE = "arm64" if platform.machine() in {"arm64", "aarch64"} else "x86_64"


def deploy(state: Path) -> None:
    """Create the stack from the local build, or update it."""
    # Parameters on the command line replace all parameters of samconfig.toml.
    parameters: list[str] = tomllib.loads(SETTINGS.read_text())["local"]["deploy"]["parameters"]["parameter_overrides"]
    parameters += [f"Architecture={ARCHITECTURE}", f"EndpointUrl={os.environ['AWS_ENDPOINT_URL']}"]
    # sam looks for its configuration beside the template unless an option names the file.
    command: list[str | Path] = [SAM, "deploy", "--config-file", SETTINGS, "--config-env", "local"]
    command += ["--template-file", BUILT, "--parameter-overrides", *parameters]
    # sam leaves its zips in TMPDIR. Frequent polls halve the time of a deploy.
    environment = os.environ | {"TMPDIR": str(state.resolve() / "tmp"), "SAM_CLI_POLL_DELAY": "0.1"}
    log = state / "deploy.log"
    with log.open("w") as output:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False
        )
    if done.returncode:
        raise SystemExit(f"The deploy failed (its output is in {log}): {last_line(log)}")
    apply_cors()


def write_environment(state: Path) -> None:
    """Write the environment of the deployed functions for `sam local`, with the endpoint that a container reaches."""
    emulator = find_emulator(state)
    if not emulator:
        raise SystemExit(f"The local AWS ended: {last_line(state / 'emulator.log')}")
    stack, functions = boto3.client("cloudformation"), boto3.client("lambda")
    resources = stack.describe_stack_resources(StackName=STACK_NAME)["StackResources"]
    endpoint = {"AWS_ENDPOINT_URL": f"http://{CONTAINER_HOST}:{emulator.port}/{emulator.secret}/"}
    environments = {}
    for resource in resources:
        if resource["ResourceType"] == "AWS::Lambda::Function":
            function = functions.get_function_configuration(FunctionName=resource["PhysicalResourceId"])
            environments[resource["LogicalResourceId"]] = function["Environment"]["Variables"] | endpoint
    (state / "made-by-make-start.json").write_text(json.dumps(environments, indent=2))


def apply_cors() -> None:
    """Apply the CORS configuration of the template, which the emulator's CloudFormation ignores."""
    deployed = {each["ParameterKey"]: each["ParameterValue"] for each in describe_stack(STACK_NAME)["Parameters"]}
    api = yaml.safe_load(BUILT.read_text())["Resources"]["Api"]["Properties"]
    _, cors, _ = api["CorsConfiguration"]["Fn::If"]
    resolved = {key: deployed[each["Ref"]].split(",") for key, each in cors.items() if isinstance(each, dict)}
    gateway, api_id = boto3.client("apigatewayv2"), read_outputs(STACK_NAME)["ApiId"]
    if resolved["AllowOrigins"] != [""]:
        gateway.update_api(ApiId=api_id, CorsConfiguration=cors | resolved)
    else:
        gateway.delete_cors_configuration(ApiId=api_id)
