"""The local stack: an AWS emulator on this machine with the built template deployed to it. `make start` and friends.

A stack lives in one state folder, so that several can run side by side:

    lock          locked by the emulator for as long as it lives; holds its pid and its port
    emulator.log  what the emulator said
    deploy.log    what `sam deploy` said
    tmp/          what the emulator and its workers unpack and write

All of it is in memory or in that folder, and listens on 127.0.0.1 only. Each failure is one sentence on standard error.
"""

import argparse
import fcntl
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from importlib.metadata import distribution
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

import boto3
import yaml
from botocore.exceptions import BotoCoreError, ClientError

ROOT = Path(__file__).resolve().parent.parent
SAM = ROOT / "tools/sam/.venv/bin/sam"
EMULATOR = [ROOT / "tools/emulator/.venv/bin/python", ROOT / "tools/emulator/launch.py"]
BUILT = ROOT / ".aws-sam/local/template.yaml"
SETTINGS = ROOT / "samconfig.toml"
DIRECTORY = ROOT / "events/import-directory.json"
# Of this machine, as Lambda names it.
ARCHITECTURE = "arm64" if platform.machine() in {"arm64", "aarch64"} else "x86_64"
DOCUMENT = ROOT / "docs/openapi.json"
PAGE = ROOT / "tools/page.html"
BUCKET = "page"  # of the local AWS alone: the page is no part of the template
STACK_NAME = "sessions"  # this and the region are those of samconfig.toml
REGION = "us-east-1"
PORT = 4566  # that of such emulators, unless another is asked for

# The users who can sign in, and their groups. The password opens nothing but an emulator on this machine.
SIGN_INS = {
    "ada@example.com": ["User"],
    "bob@example.com": ["User"],
    "dave@example.com": ["User"],
    "guest@example.com": [],
}
PASSWORD = "Local-only-1"  # noqa: S105


class Emulator(NamedTuple):
    """A running emulator: its pid, which is its process group's as well, and its port on 127.0.0.1."""

    pid: int
    port: int


def start(state: Path, wanted: int | None) -> None:
    """Starts the stack, or updates a running one, and prints how to use it. What it started ends if it fails."""
    if not all(path.exists() for path in (BUILT, SAM, *EMULATOR)):
        raise SystemExit("Something that a start needs is missing: run make start, which builds and installs it.")
    running = find_emulator(state)
    port = wanted or (running.port if running else PORT)
    if running and running.port != port:
        raise SystemExit(f"The local stack runs on port {running.port}: run make stop before you choose another.")
    if not running and taken(port):
        raise SystemExit(f"Port {port} is taken by another program: stop that, or run make start PORT={port + 1}.")
    try:
        if not running:
            with step("Starting the local AWS"):
                start_emulator(state, port)
        use_emulator(port)
        with step("Deploying the stack to it"):
            deploy(state, port)
            apply_cors()
        with step("Importing the demo directory"):
            import_demo_directory()
        with step("Adding the demo users"):
            add_demo_users()
        with step("Publishing the page to try the API"):
            page = publish_page(port, "ada@example.com")
    except BaseException:
        if not running and (started := find_emulator(state)):
            kill(started)
            shutil.rmtree(state / "tmp")
        raise
    url = sessions_url(port)
    token = access_token("ada@example.com")
    print(
        f"\nPage:  {page}\n       (to read and try the API)\nURL:   {url}\nToken: {token}\n"
        f"       (of ada@example.com; make token prints a new one)\n\n"
        f"curl -s -X POST '{url}' -d '{{}}' \\\n"
        f"  -H 'Content-Type: application/json' \\\n  -H 'Authorization: Bearer {token}'"
    )


def start_emulator(state: Path, port: int) -> None:
    """Starts an emulator that outlives this process, and returns once it is ready."""
    tmp = state.resolve() / "tmp"
    shutil.rmtree(tmp, ignore_errors=True)
    tmp.mkdir(parents=True)
    # Workers inherit this environment: nothing of the developer's own may reach them.
    environment = {
        "PATH": os.defpath,
        "HOME": str(tmp),
        "TMPDIR": str(tmp),
        "STATE_DIR": str(tmp / "state"),
        "S3_DATA_DIR": str(tmp / "s3"),
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "MINISTACK_REGION": REGION,
        "AUTH": "true",  # the functions' roles are enforced
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "DOCKER_HOST": "unix:///nonexistent",  # it would remove containers that it takes for its own
    }
    # The emulator inherits the lock, and so holds it until it ends, however it ends: its pid alone could be recycled.
    with (state / "lock").open("w") as lock, (state / "emulator.log").open("w") as log:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        process = subprocess.Popen(
            [*EMULATOR, tmp / "worker"],
            env=environment,
            cwd=tmp,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=[lock.fileno()],
        )
        json.dump(Emulator(process.pid, port)._asdict(), lock)
    deadline = time.monotonic() + 60
    while not ready(port):
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"The local AWS did not start: {last_line(state / 'emulator.log')}")
        time.sleep(0.05)


def find_emulator(state: Path) -> Emulator | None:
    """The emulator that runs with this state folder, if one does."""
    try:
        with (state / "lock").open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return Emulator(**json.load(lock))
    except FileNotFoundError:
        pass
    return None


def need_emulator(state: Path) -> Emulator:
    """The emulator that runs with this state folder, with boto3 turned to it."""
    if not (emulator := find_emulator(state)):
        raise SystemExit("The local stack is not running: run make start.")
    use_emulator(emulator.port)
    return emulator


def use_emulator(port: int, host: str = "127.0.0.1") -> None:
    """Turns this process's boto3 and sam to the emulator, whatever account the developer's shell is signed in to."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "NO_PROXY": host,
        "no_proxy": host,
    }


def deploy(state: Path, port: int) -> None:
    """Creates the stack from the local build, or updates it."""
    # Parameters on the command line replace those of samconfig.toml, which are therefore among them.
    parameters: list[str] = tomllib.loads(SETTINGS.read_text())["local"]["deploy"]["parameters"]["parameter_overrides"]
    parameters += [f"Architecture={ARCHITECTURE}", f"EndpointUrl=http://127.0.0.1:{port}"]
    # Named, as sam looks for the configuration beside the template.
    configuration = ["--config-file", str(SETTINGS), "--config-env", "local"]
    log = state / "deploy.log"
    with log.open("w") as output:
        done = subprocess.run(
            [SAM, "deploy", *configuration, "--template-file", BUILT, "--parameter-overrides", *parameters],
            cwd=ROOT,
            # sam leaves its zips in TMPDIR; polled each 0.1 s, a deploy takes half the time.
            env=os.environ
            | {"TMPDIR": str(state.resolve() / "tmp"), "SAM_CLI_POLL_DELAY": "0.1", "SAM_CLI_TELEMETRY": "0"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        raise SystemExit(f"The deploy to the local AWS failed (all it said is in {log}): {last_line(log)}")


def apply_cors() -> None:
    """Gives the API the CORS of the template with the origins as deployed: the emulator's CloudFormation loses it."""
    deployed = {each["ParameterKey"]: each["ParameterValue"] for each in describe_stack()["Parameters"]}
    api = yaml.safe_load(BUILT.read_text())["Resources"]["Api"]["Properties"]
    _, cors, _ = api["CorsConfiguration"]["Fn::If"]
    gateway = boto3.client("apigatewayv2")
    if origins := deployed[cors["AllowOrigins"]["Ref"]]:
        gateway.update_api(ApiId=outputs()["ApiId"], CorsConfiguration=cors | {"AllowOrigins": origins.split(",")})
    else:
        gateway.delete_cors_configuration(ApiId=outputs()["ApiId"])


def import_demo_directory() -> None:
    """Has the deployed function import the demo directory. Safe to repeat."""
    reply = boto3.client("lambda").invoke(
        FunctionName=outputs()["ImportDirectoryFunctionName"], Qualifier="live", Payload=DIRECTORY.read_bytes()
    )
    answer = json.load(reply["Payload"])
    if "FunctionError" in reply or "errors" in answer:
        raise SystemExit(f"The demo directory was refused: {answer}")


def add_demo_users() -> None:
    """Puts the demo users into the pool. Safe to repeat."""
    pool = outputs()["UserPoolId"]
    for email, groups in SIGN_INS.items():
        add_pool_user(pool, email, groups)


def add_pool_user(pool: str, email: str, groups: list[str]) -> None:
    """Adds a user who can sign in with PASSWORD. Safe to repeat."""
    cognito = boto3.client("cognito-idp")
    with suppress(cognito.exceptions.UsernameExistsException):
        cognito.admin_create_user(
            UserPoolId=pool,
            Username=email,
            UserAttributes=[{"Name": "email", "Value": email}, {"Name": "email_verified", "Value": "true"}],
            MessageAction="SUPPRESS",
        )
    cognito.admin_set_user_password(UserPoolId=pool, Username=email, Password=PASSWORD, Permanent=True)
    for group in groups:
        cognito.admin_add_user_to_group(UserPoolId=pool, Username=email, GroupName=group)


def publish_page(port: int, email: str) -> str:
    """Makes the page to read and try the API, with a new token of a user, and returns its address. Safe to repeat.

    It is in a bucket of the local AWS, so that page and API have one origin and nothing more has to be stopped.
    """
    # Swagger UI comes with Powertools, which is locked already; no module of it is imported for that.
    viewer = Path(str(distribution("aws-lambda-powertools").locate_file("aws_lambda_powertools")))
    viewer /= "event_handler/openapi/swagger_ui"
    script, style = "swagger-ui-bundle.min.js", "swagger-ui.min.css"
    server = {"url": sessions_url(port).removesuffix("/sessions")}
    document = json.loads(DOCUMENT.read_text()) | {"servers": [server]}
    page = Template(PAGE.read_text()).substitute(user=email, token=access_token(email))
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.delete_public_access_block(Bucket=BUCKET)
    allow = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/*"}
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": [allow]}))
    for key, kind, body in (
        (script, "text/javascript; charset=utf-8", (viewer / script).read_bytes()),
        (style, "text/css; charset=utf-8", (viewer / style).read_bytes()),
        ("openapi.json", "application/json", json.dumps(document).encode()),
        ("index.html", "text/html; charset=utf-8", page.encode()),
    ):
        # Not to be kept: the next stack on this port has another API and other tokens.
        s3.put_object(Bucket=BUCKET, Key=key, Body=body, ContentType=kind, CacheControl="no-store")
    return f"http://127.0.0.1:{port}/{BUCKET}/index.html"


def sessions_url(port: int) -> str:
    """The URL of POST /sessions. `$default` is the API's stage, so that a shell needs it in single quotes."""
    return f"http://127.0.0.1:{port}/_aws/execute-api/{outputs()['ApiId']}/$default/sessions"


def access_token(email: str) -> str:
    """A new access token of a user who can sign in."""
    stack = outputs()
    try:
        reply = boto3.client("cognito-idp").admin_initiate_auth(
            UserPoolId=stack["UserPoolId"],
            ClientId=stack["UserPoolClientId"],
            AuthFlow="ADMIN_USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": email, "PASSWORD": PASSWORD},
        )
    except ClientError as error:
        raise SystemExit(f"{email} cannot sign in: {error.response['Error']['Message']}") from None
    return reply["AuthenticationResult"]["AccessToken"]


def outputs() -> dict[str, str]:
    """The outputs of the deployed template, by name."""
    return {output["OutputKey"]: output["OutputValue"] for output in describe_stack()["Outputs"]}


def describe_stack() -> dict[str, Any]:
    """The deployed stack, as CloudFormation describes it."""
    stack: dict[str, Any] = boto3.client("cloudformation").describe_stacks(StackName=STACK_NAME)["Stacks"][0]
    return stack


def print_logs() -> None:
    """Prints what the functions logged, oldest first."""
    logs = boto3.client("logs")
    for page in logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix="/aws/lambda/"):
        for group in page["logGroups"]:
            print(f"==> {group['logGroupName']}")
            for events in logs.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"]):
                for event in events["events"]:
                    print(event["message"].rstrip())


def watch() -> None:
    """Prints each event of the bus as it happens, as a line of JSON, until it is interrupted. Leaves nothing behind."""
    events, sqs = boto3.client("events"), boto3.client("sqs")
    bus, name = outputs()["EventBusName"], f"watch-{os.getpid()}"
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    queue_arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name=name, EventBusName=bus, EventPattern='{"source": ["sessions"]}')
    events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": name, "Arn": queue_arn}])
    try:
        print("Waiting for events; Ctrl-C ends it.", file=sys.stderr, flush=True)
        while True:
            received = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=20)
            for message in received.get("Messages", []):
                print(message["Body"], flush=True)
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    except KeyboardInterrupt:
        pass
    finally:
        events.remove_targets(Rule=name, EventBusName=bus, Ids=[name])
        events.delete_rule(Name=name, EventBusName=bus)
        sqs.delete_queue(QueueUrl=queue)


def stop(state: Path) -> None:
    """Ends the emulator and its workers, if they run, and removes the state folder; nothing but what start made."""
    if emulator := find_emulator(state):
        kill(emulator)
    if (state / "lock").exists():
        shutil.rmtree(state)


def kill(emulator: Emulator) -> None:
    """Ends the emulator with its workers, at once, as nothing of it is to be kept; returns when they are gone."""
    deadline = time.monotonic() + 10
    try:
        os.killpg(emulator.pid, signal.SIGKILL)
        with suppress(ChildProcessError):  # not this process's child, unless a start has failed
            os.waitpid(emulator.pid, 0)
        while time.monotonic() < deadline:
            os.killpg(emulator.pid, 0)
            time.sleep(0.02)
    except ProcessLookupError:
        pass


def taken(port: int) -> bool:
    """Whether another program listens on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def ready(port: int) -> bool:
    """Whether the emulator takes requests."""
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/_ministack/ready")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def last_line(log: Path) -> str:
    """The last thing a program said."""
    return next((line.strip() for line in reversed(log.read_text().splitlines()) if line.strip()), "it said nothing.")


@contextmanager
def step(name: str) -> Iterator[None]:
    """Shows what is being done, and then the seconds it took."""
    begun = time.monotonic()
    print(f"{name:<50}", end="", file=sys.stderr, flush=True)
    try:
        yield
    except BaseException:
        print(file=sys.stderr)
        raise
    print(f"{time.monotonic() - begun:4.0f} s", file=sys.stderr)


def port_number(text: str) -> int | None:
    """The port that a command line names; none if it names none."""
    if not text:
        return None
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise SystemExit(f"{text} is not a port: it must be a number from 1 to 65535.")
    return int(text)


def run(arguments: argparse.Namespace) -> None:
    """Carries out the command that the arguments name."""
    match arguments.command:
        case "start":
            start(arguments.state, arguments.port)
        case "page":
            print(publish_page(need_emulator(arguments.state).port, arguments.user))
        case "url":
            print(sessions_url(need_emulator(arguments.state).port))
        case "token":
            need_emulator(arguments.state)
            print(access_token(arguments.user))
        case "logs":
            need_emulator(arguments.state)
            print_logs()
        case "watch":
            need_emulator(arguments.state)
            watch()
        case "stop":
            stop(arguments.state)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("command", choices=["start", "page", "url", "token", "logs", "watch", "stop"])
    parser.add_argument("--state", type=Path, default=ROOT / ".local", help="the stack's state folder")
    parser.add_argument("--port", type=port_number, help=f"start: the port on 127.0.0.1, {PORT} unless the stack runs")
    parser.add_argument("--user", default="ada@example.com", help="page, token: whose token")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that both clean up in the same way
    try:
        run(arguments)
    except KeyboardInterrupt:
        raise SystemExit("Interrupted.") from None
    except BrokenPipeError:  # whoever read this has read enough, as in make logs | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (BotoCoreError, ClientError) as error:
        raise SystemExit(f"The local AWS refused: {error}") from None


if __name__ == "__main__":
    main()
