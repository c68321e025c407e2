"""Prove from outside that a deployed stack works, with temporary accounts and users that are removed at the end."""

import json
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import boto3
import urllib3
from boto3.dynamodb.conditions import Key

import deployed_stack as stack
from sessions.idempotency import derive_session_id
from sessions.references import Caller

USERS = {"member": ["User"], "guest": [], "stranger": ["User"]}  # with their groups; the stranger has another account
PAUSE_SECONDS = 10  # between two rounds: a canary of ten minutes gets about 25 of their requests
EVENT_SECONDS = 120
RESPONSE_SECONDS = 30  # the gateway waits 26


class UnexpectedError(Exception):
    """The stack gave a wrong answer."""


@contextmanager
def step(name: str) -> Iterator[None]:
    """Print the name of a step with its milliseconds. If it fails, end the program with the reason."""
    begun = time.monotonic()
    try:
        yield
    except Exception as error:
        raise SystemExit(f"   FAILED  {name}: {error or type(error).__name__}") from None
    print(f"{1000 * (time.monotonic() - begun):6.0f} ms  {name}", flush=True)


def expect(reply: urllib3.BaseHTTPResponse, status: int) -> urllib3.BaseHTTPResponse:
    """Return the response, which must have this status."""
    if reply.status != status:
        raise UnexpectedError(f"expected {status}, got {reply.status} {reply.data[:500].decode(errors='replace')}")
    return reply


class Trial:
    """The temporary accounts, users and sessions of one run. Random names keep concurrent runs apart."""

    def __init__(self, name: str) -> None:
        self.outputs = stack.read_outputs(name)
        self.pool, _ = stack.find_pool(self.outputs)
        self.url = stack.sessions_url(self.outputs)
        self.account = f"smoke-{secrets.token_hex(6)}"
        self.accounts = {user: f"{self.account}-other" if user == "stranger" else self.account for user in USERS}
        self.emails = {user: f"{self.account}-{user}@example.com" for user in USERS}
        self.password = f"Aa1-{secrets.token_urlsafe(24)}"
        self.keys: list[str] = []

    def prepare(self) -> None:
        """Import the accounts, and add their users to the pool."""
        with step("import two accounts"):
            accounts: dict[str, Any] = {
                each: {"id": each, "name": each, "users": []} for each in self.accounts.values()
            }
            for user, account in self.accounts.items():
                accounts[account]["users"].append({"id": user, "name": user, "email": self.emails[user]})
            stack.import_document(self.outputs, json.dumps({"accounts": list(accounts.values())}).encode())
        with step("add three users"):
            for user, groups in USERS.items():
                stack.make_user(self.outputs, self.emails[user], self.password, groups)

    def check(self, receive: Callable[[int], list[str]]) -> None:
        """Use each operation that every version has, as users do."""
        with step("sign in"):
            tokens = {
                user: stack.create_token(self.outputs, email, self.password) for user, email in self.emails.items()
            }
        with step("create a session"):
            created = expect(self.create(tokens["member"]), 200)
            session = created.json()
            creator = session.get("accountId"), session.get("createdBy")
            if creator != (self.account, "member"):
                raise UnexpectedError(f"its account and creator are {creator}")
        with step("replay the create with its key"):
            replayed = expect(self.create(tokens["member"], self.keys[-1]), 200)
            if replayed.headers.get("Idempotent-Replayed") != "true" or replayed.data != created.data:
                raise UnexpectedError("got another session, or no Idempotent-Replayed")
        with step("read the session"):
            if expect(self.call("GET", session["id"], tokens["member"]), 200).data != created.data:
                raise UnexpectedError("got another session")
        with step("refuse to read it without a token: 401"):
            expect(self.call("GET", session["id"], None), 401)
        with step("refuse to read it without the role: 403"):
            expect(self.call("GET", session["id"], tokens["guest"]), 403)
        with step("refuse to read it in another account: 404"):
            expect(self.call("GET", session["id"], tokens["stranger"]), 404)
        with step("receive its event"):
            sessions, deadline = [session], time.monotonic() + EVENT_SECONDS
            while not any(json.loads(event)["detail"]["session"] in sessions for event in receive(5)):
                if time.monotonic() > deadline:
                    raise UnexpectedError(f"no event in {EVENT_SECONDS} s")
                # A new rule may miss the first event.
                sessions.append(expect(self.create(tokens["member"]), 200).json())

    def check_latest(self) -> None:
        """Use the operations that an earlier version may lack."""
        with step("end a session"):
            token = stack.create_token(self.outputs, self.emails["member"], self.password)
            session = expect(self.create(token), 200).json()
            expect(self.call("DELETE", session["id"], token), 204)
            if not expect(self.call("GET", session["id"], token), 200).json()["ended"]:
                raise UnexpectedError("it has not ended")

    def create(self, token: str, key: str = "") -> urllib3.BaseHTTPResponse:
        """Create a session with this key or a new one."""
        self.keys.append(key or secrets.token_hex(16))
        headers = {"Content-Type": "application/json", "Idempotency-Key": self.keys[-1]}
        headers["Authorization"] = f"Bearer {token}"
        body = json.dumps({"channel": "Voice", "displayName": self.account})
        return urllib3.request("POST", self.url, body=body, headers=headers, timeout=RESPONSE_SECONDS, retries=False)

    def call(self, method: str, session_id: str, token: str | None) -> urllib3.BaseHTTPResponse:
        """Read or end a session, with a token if there is one."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return urllib3.request(
            method, f"{self.url}/{session_id}", headers=headers, timeout=RESPONSE_SECONDS, retries=False
        )

    def remove_users(self) -> None:
        """Delete the users from the pool."""
        cognito = boto3.client("cognito-idp")
        with step("remove the users"):
            for email in self.emails.values():
                with suppress(cognito.exceptions.UserNotFoundException):
                    cognito.admin_delete_user(UserPoolId=self.pool, Username=email)

    def remove_accounts(self) -> None:
        """Delete the items of the directory. An import cannot delete an account."""
        table = boto3.resource("dynamodb").Table(self.outputs["DirectoryTableName"])
        with step("remove the accounts"):
            partitions = [f"ACCOUNT#{account}" for account in set(self.accounts.values())]
            for partition in partitions + [f"EMAIL#{email}" for email in self.emails.values()]:
                items = table.query(KeyConditionExpression=Key("pk").eq(partition), ConsistentRead=True)["Items"]
                for item in items:
                    table.delete_item(Key={"pk": item["pk"], "sk": item["sk"]})

    def remove_sessions(self) -> None:
        """Delete the items of the sessions, also of creates without a response. The API cannot delete a session."""
        table = boto3.resource("dynamodb").Table(self.outputs["SessionsTableName"])
        member = Caller("member", self.account, *[None] * 5)
        with step("remove the sessions"):
            for key in set(self.keys):
                table.delete_item(Key={"pk": f"{self.account}#{derive_session_id(member, key)}"})


def smoke(name: str, *, updating: bool = False) -> None:
    """Check a stack once. If it is being updated, repeat the check until the end of the update.

    Until then, a request may be answered by the version before the update.
    """
    trial = Trial(name)
    print(f"Checking {trial.url} as {trial.account}", flush=True)
    with ExitStack() as cleanup:
        for remove in (trial.remove_sessions, trial.remove_accounts, trial.remove_users):
            cleanup.callback(remove)
        try:
            trial.prepare()
            pattern = {"source": ["sessions"], "detail": {"session": {"accountId": [trial.account]}}}
            receive = cleanup.enter_context(stack.listen(trial.outputs, trial.account, pattern))
            trial.check(receive)
            while updating and (status := stack.describe_stack(name)["StackStatus"]).endswith("_IN_PROGRESS"):
                time.sleep(PAUSE_SECONDS)
                trial.check(receive)
            if updating and "ROLLBACK" in status:
                raise SystemExit(f"The update was rolled back: {status}")
            trial.check_latest()
        finally:
            for each in (signal.SIGINT, signal.SIGTERM):  # a second Ctrl-C must not stop the removal
                signal.signal(each, signal.SIG_IGN)
