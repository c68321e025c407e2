"""A local stack for the tests, on a free port. It starts once, and is stopped even if tests fail."""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
import urllib3
from conftest import ROOT
from mypy_boto3_dynamodb.service_resource import Table

type SignIn = Callable[[str], dict[str, str]]


def command(state: Path, *arguments: str) -> list[str]:
    """Return the command line of tools/local_stack for the stack with this state folder."""
    python = ["env", f"PYTHONPATH={ROOT / 'functions'}:{ROOT / 'tools'}", sys.executable]
    return [*python, "-m", "local_stack", "--state", str(state), *arguments]


def run(state: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of tools/local_stack, with its temporary files beside the state folder."""
    return subprocess.run(
        command(state, *arguments),
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
        env=os.environ | {"TMPDIR": str(state.parent)},
    )


def run_bash(commands: str, folder: Path, environment: dict[str, str], seconds: int, *options: str) -> str:
    """Run commands of a document, which must all succeed within so many seconds. Return their output."""
    done = subprocess.run(
        ["bash", *options, "-c", commands],  # noqa: S607
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@dataclass(frozen=True)
class Stack:
    """A running stack. Its AWS calls are those of the account's root: nothing is refused to them."""

    state: Path
    port: int
    url: str

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, service: str) -> Any:  # noqa: ANN401
        return boto3.client(service, endpoint_url=self.endpoint)  # type: ignore[call-overload]

    def outputs(self) -> dict[str, str]:
        stacks = self.client("cloudformation").describe_stacks(StackName="sessions")["Stacks"]
        return {output["OutputKey"]: output["OutputValue"] for output in stacks[0]["Outputs"]}

    def function(self, logical_id: str) -> dict[str, Any]:
        """The configuration of a function of the template."""
        resource = self.client("cloudformation").describe_stack_resource(
            StackName="sessions", LogicalResourceId=logical_id
        )
        name = resource["StackResourceDetail"]["PhysicalResourceId"]
        configuration: dict[str, Any] = self.client("lambda").get_function_configuration(FunctionName=name)
        return configuration

    def table(self, output: str) -> Table:
        return boto3.resource("dynamodb", endpoint_url=self.endpoint).Table(self.outputs()[output])

    @property
    def base_url(self) -> str:
        """The base URL of the API for clients."""
        return self.url.removesuffix("/sessions")

    def send(
        self, method: str, path: str, body: str = "", token: str | None = None, headers: dict[str, str] | None = None
    ) -> urllib3.BaseHTTPResponse:
        """Send a request, with a token if there is one."""
        authorization = {"Authorization": f"Bearer {token}"} if token is not None else {}
        return urllib3.request(
            method,
            self.base_url + path,
            body=body,
            headers={"Content-Type": "application/json"} | authorization | (headers or {}),
            timeout=120,  # the emulator starts a worker for each request that comes meanwhile
            retries=False,
        )

    def post(self, body: object, token: str | None = None) -> urllib3.BaseHTTPResponse:
        """Send a create to /sessions."""
        return self.send("POST", "/sessions", json.dumps(body), token)

    def get(self, session_id: str, token: str | None = None) -> urllib3.BaseHTTPResponse:
        """Send a read of a session."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return urllib3.request("GET", f"{self.url}/{session_id}", headers=headers, timeout=120, retries=False)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshot", type=Path, help="where to write a picture of the page that tries the API")


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    state = tmp_path_factory.mktemp("stack") / "state"
    try:
        started = run(state, "start", "--port", "0")
        assert started.returncode == 0, started.stderr
        port = json.loads((state / "lock").read_text())["port"]
        yield Stack(state, port, run(state, "url").stdout.strip())
    finally:
        run(state, "stop")


@pytest.fixture(scope="session")
def token(stack: Stack) -> str:
    """The token that `make token` prints: an access token of ada, who has the role User in the account acme."""
    return run(stack.state, "token").stdout.strip()


@pytest.fixture(scope="session")
def sign_in(stack: Stack) -> SignIn:
    """Sign in a user of the pool, and return the tokens by kind. Add a missing user, with the role User."""
    cognito = boto3.client("cognito-idp", endpoint_url=stack.endpoint)
    pool, client = stack.outputs()["UserPoolId"], stack.outputs()["UserPoolClientId"]
    password = f"Aa1-{secrets.token_hex(8)}"

    def sign_in(email: str) -> dict[str, str]:
        try:
            cognito.admin_get_user(UserPoolId=pool, Username=email)
        except cognito.exceptions.UserNotFoundException:
            attributes = {"email": email, "email_verified": "true"}
            cognito.admin_create_user(
                UserPoolId=pool,
                Username=email,
                UserAttributes=[{"Name": name, "Value": value} for name, value in attributes.items()],
                MessageAction="SUPPRESS",
            )
            cognito.admin_add_user_to_group(UserPoolId=pool, Username=email, GroupName="User")
        cognito.admin_set_user_password(UserPoolId=pool, Username=email, Password=password, Permanent=True)
        reply = cognito.admin_initiate_auth(
            UserPoolId=pool,
            ClientId=client,
            AuthFlow="ADMIN_USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": email, "PASSWORD": password},
        )
        return {kind: str(token) for kind, token in reply["AuthenticationResult"].items()}

    return sign_in
