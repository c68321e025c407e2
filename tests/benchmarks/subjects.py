"""What is measured, and the processes that it runs in."""

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
BUILD = ROOT / ".aws-sam/local"
PEERS = ROOT / ".aws-sam/peers"


class Subject(NamedTuple):
    """A handler's module, where its packages are, the event that it gets, and the options of its interpreter."""

    name: str
    module: str
    path: list[Path]
    event: str = "plain"
    options: tuple[str, ...] = ()


LAYER = BUILD / "DependenciesLayer/python"
NO_BYTECODE = ("-X", f"pycache_prefix={os.devnull}")  # as `sam build` ships it: there is some, and none is valid
FLOOR = Subject("bare boto3 (the floor)", "bare", [PEERS])
FLOOR_FULL = Subject("bare boto3: customer, team, five members", "bare_references", [PEERS], "full")
OURS = Subject("this service", "sessions.create_session", [BUILD / "CreateSessionFunction", LAYER])
FULL = OURS._replace(name="this service: customer, team, five members", event="full")
PUBLISH = Subject("publish_events", "sessions.publish_events", [BUILD / "PublishEventsFunction", LAYER], "stream")
RESOLVER = Subject("Powertools resolver", "resolver", [PEERS])
RESOLVER_SHIPPED = RESOLVER._replace(name="Powertools resolver, as sam build ships it", options=NO_BYTECODE)
FASTAPI = Subject("FastAPI + Mangum", "fastapi_app", [PEERS])
FASTAPI_SHIPPED = FASTAPI._replace(name="FastAPI + Mangum, as sam build ships it", options=NO_BYTECODE)
FULL_BODY = {
    "displayName": "Order 1042",
    "customerId": "paris",
    "withAddress": "team:support",
    "memberEmailAddresses": [f"member-{index}@example.com" for index in range(5)],
    "startSession": True,
}


class Worker:
    """A process of worker.py that has started and made its first call."""

    def __init__(self, subject: Subject, folder: Path, port: int, errors: IO[str] | None = None) -> None:
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(map(str, subject.path)),
            "AWS_ACCESS_KEY_ID": "benchmark",
            "AWS_SECRET_ACCESS_KEY": "benchmark",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "SESSIONS_TABLE": "sessions",
            "DIRECTORY_TABLE": "directory",
            "EVENT_BUS": "sessions",
            "DEAD_LETTERS": f"http://127.0.0.1:{port}/dead-letters",
            "POWERTOOLS_SERVICE_NAME": "sessions",
            "POWERTOOLS_METRICS_NAMESPACE": "sessions",
        }
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-S", "-B", *subject.options),
                *(str(HERE / "worker.py"), subject.module, str(folder / f"{subject.event}.json")),
            ],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        self.start = self.read()

    def read(self) -> dict[str, Any]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.process.args!r} ended")
        report: dict[str, Any] = json.loads(line)
        return report

    def ask(self, what: str, calls: int = 1) -> dict[str, Any]:
        """What worker.py reports of so many calls."""
        assert self.process.stdin
        self.process.stdin.write(f"{what} {calls}\n")
        self.process.stdin.flush()
        return self.read()

    def stop(self) -> None:
        self.process.communicate()


@contextmanager
def serve(certificate: Path | None = None) -> Iterator[int]:
    """The port of a stub of DynamoDB; with TLS, given key and certificate in one file."""
    arguments = [sys.executable, "-S", str(HERE / "stub.py"), *([str(certificate)] if certificate else [])]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as stub:
        assert stub.stdin
        assert stub.stdout
        yield int(stub.stdout.readline())
        stub.stdin.close()


def pack(build: Path, folder: Path) -> tuple[list[Path], int]:
    """Function and layer of a build as zips in a folder, and the bytes of the files in them."""
    archives, unzipped = [], 0
    for name in ("CreateSessionFunction", "DependenciesLayer"):
        archives.append(folder / f"{name}.zip")
        files = [path for path in (build / name).rglob("*") if path.is_file()]
        with zipfile.ZipFile(archives[-1], "w", zipfile.ZIP_DEFLATED) as archive:
            for file in files:
                archive.write(file, file.relative_to(build / name))
        unzipped += sum(file.stat().st_size for file in files)
    return archives, unzipped


def write_events(folder: Path) -> None:
    plain = json.loads((ROOT / "events/create-session.json").read_text())
    stream = json.loads((ROOT / "events/publish-events.json").read_text())
    (folder / "plain.json").write_text(json.dumps(plain))
    (folder / "full.json").write_text(json.dumps(plain | {"body": json.dumps(FULL_BODY)}))
    (folder / "stream.json").write_text(json.dumps({"Records": stream["Records"][:1]}))
