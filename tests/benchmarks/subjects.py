"""The handlers that the benchmark compares, the processes in which they run, and a stub of DynamoDB."""

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
BUILD = ROOT / ".aws-sam/local"
FUNCTION = BUILD / "SessionsFunction"
LAYER = BUILD / "DependenciesLayer/python"
PEERS = ROOT / ".aws-sam/peers"

PLAIN_EVENT = json.loads((ROOT / "events/create-session.json").read_text())
FULL_BODY = {
    "displayName": "Order 1042",
    "customerId": "paris",
    "withAddress": "team:support",
    "memberEmailAddresses": [f"member-{index}@example.com" for index in range(5)],
    "startSession": True,
}
FULL_EVENT = PLAIN_EVENT | {"body": json.dumps(FULL_BODY)}
# `sam build` dates all files 1980. So Python finds no valid bytecode, and compiles each module at every start.
NO_BYTECODE = ("-X", f"pycache_prefix={os.devnull}")


class Subject(NamedTuple):
    """A handler's module, the folders of its packages, its event and the options of its interpreter."""

    name: str
    module: str
    path: tuple[Path, ...] = (PEERS,)
    event: dict[str, Any] = PLAIN_EVENT
    options: tuple[str, ...] = ()


SERVICE = Subject("this service", "sessions.handler", (FUNCTION, LAYER))
SERVICE_FULL = SERVICE._replace(name="this service, full create", event=FULL_EVENT)
BASELINE = Subject("bare boto3", "bare")
BASELINE_FULL = BASELINE._replace(name="bare boto3, full create", event=FULL_EVENT)
RESOLVER = Subject("Powertools resolver", "resolver")
RESOLVER_SHIPPED = RESOLVER._replace(name="Powertools resolver, as shipped", options=NO_BYTECODE)
FASTAPI = Subject("FastAPI + Mangum", "fastapi_app")
FASTAPI_SHIPPED = FASTAPI._replace(name="FastAPI + Mangum, as shipped", options=NO_BYTECODE)


class Worker:
    """A process of worker.py. `start` is its report of the start and the first call."""

    def __init__(self, subject: Subject, port: int) -> None:
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(map(str, subject.path)),
            "AWS_ACCESS_KEY_ID": "benchmark",
            "AWS_SECRET_ACCESS_KEY": "benchmark",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "SESSIONS_TABLE": "sessions",
            "DIRECTORY_TABLE": "directory",
            "SESSION_RETENTION_DAYS": "0",
            "POWERTOOLS_SERVICE_NAME": "sessions",
            "POWERTOOLS_METRICS_NAMESPACE": "sessions",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-S", "-B", *subject.options, str(HERE / "worker.py"), subject.module],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.start = self.ask(json.dumps(subject.event))

    def call(self, count: int) -> dict[str, float]:
        """Return the report of this many calls."""
        return self.ask(str(count))

    def ask(self, line: str) -> dict[str, float]:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"{self.process.args!r} ended")
        report: dict[str, float] = json.loads(answer)
        return report

    def stop(self) -> None:
        self.process.communicate()


@contextmanager
def serve(certificate: Path | None = None) -> Iterator[int]:
    """Start a stub of DynamoDB and yield its port. It serves TLS if given a file with a key and a certificate."""
    arguments = [sys.executable, "-S", str(HERE / "stub.py"), *([str(certificate)] if certificate else [])]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as stub:
        assert stub.stdin
        assert stub.stdout
        yield int(stub.stdout.readline())
        stub.stdin.close()


def pack(build: Path, folder: Path) -> tuple[list[Path], int]:
    """Zip the API function and the layer of a build into a folder; return the zips and the bytes of their files."""
    archives, unzipped = [], 0
    for name in (FUNCTION.name, "DependenciesLayer"):
        archives.append(folder / f"{name}.zip")
        files = [path for path in (build / name).rglob("*") if path.is_file()]
        with zipfile.ZipFile(archives[-1], "w", zipfile.ZIP_DEFLATED) as archive:
            for file in files:
                archive.write(file, file.relative_to(build / name))
        unzipped += sum(file.stat().st_size for file in files)
    return archives, unzipped
