"""Budgets of start-up, a plain create and the deployed bytes. They are counts, so they are equal on every machine.

tests/benchmarks measures times. Raise a budget only with the benchmark's figures.
"""

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme
from artifact.conftest import BUILD, LOCAL
from benchmarks.subjects import pack, serve
from conftest import ROOT, make_event

MODULES_MAX = 460
ZIPPED_MAX, UNZIPPED_MAX = 9_000_000, 25_000_000
SERVICES = {"dynamodb", "events", "sqs"}

# A plain create needs none of these modules. Each would make a cold start slower.
FORBIDDEN = {
    "aws_lambda_powertools.event_handler",
    "aws_lambda_powertools.utilities.data_classes",
    "aws_lambda_powertools.utilities.parser.envelopes",
    "aws_lambda_powertools.utilities.parser.models",
    "awscrt",
    "boto3",
    "multiprocessing",
    "s3transfer",
    "sessions.publish_events",
    "unittest",
}

# Run one create against the stub, with the packages of the build only, and report what the process did.
PROBE = """
import json, re, sys
compiled, connected, calls = [], [], []
def audit(name, details):
    if name == "compile":
        compiled.append(str(details[1]))
    elif name == "socket.connect":
        connected.append(details[1])
    elif name == "http.client.send":
        calls.extend(re.findall(rb"X-Amz-Target: DynamoDB_\\d+\\.(\\w+)", bytes(details[1])))
sys.addaudithook(audit)
from sessions import handler
imported, connected_early = sorted(sys.modules), len(connected)
class Context:
    function_name = aws_request_id = "probe"
    def get_remaining_time_in_millis(self):
        return 20_000
response = handler.handler(json.load(sys.stdin), Context())
print(json.dumps({
    "status": response["statusCode"],
    "calls": [name.decode() for name in calls],
    "imported": imported,
    "imported_late": sorted(set(sys.modules).difference(imported)),
    "compiled": compiled,
    "connections": [connected_early, len(connected) - connected_early],
}))
"""


class Probe(NamedTuple):
    status: int
    calls: list[str]
    imported: list[str]
    imported_late: list[str]
    """Modules that the first call imported."""
    compiled: list[str]
    connections: list[int]
    """Connections that the import opened, and connections that the call opened."""


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built function and layer, unpacked from their zips. So the files have new dates, as in Lambda."""
    folder = tmp_path_factory.mktemp("unpacked")
    for packed in pack(LOCAL, folder)[0]:
        with zipfile.ZipFile(packed) as archive:
            archive.extractall(folder)
    return folder


def probe(unpacked: Path, certificate: Path | None = None, **environment: str) -> Probe:
    """Run a plain create against the stub, over TLS if given a key and certificate."""
    with serve(certificate) as port:
        environment |= {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{unpacked}:{unpacked}/python",
            "AWS_ENDPOINT_URL": f"http{'s' if certificate else ''}://127.0.0.1:{port}",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "POWERTOOLS_METRICS_NAMESPACE": "sessions",
            "SESSIONS_TABLE": "sessions",
            "DIRECTORY_TABLE": "directory",
            "SESSION_RETENTION_DAYS": "0",
        }
        run = subprocess.run(
            [sys.executable, "-S", "-B", "-W", "error", "-c", PROBE],
            input=json.dumps(make_event({"displayName": "Order 1042", "channel": "Voice", "startSession": True})),
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
    return Probe(**json.loads(run.stdout.splitlines()[-1]))


@pytest.fixture(scope="module")
def plain_create(unpacked: Path) -> Probe:
    return probe(unpacked)


def test_a_start_imports_no_more_modules_than_the_budget(plain_create: Probe) -> None:
    assert plain_create.status == 200
    assert len(plain_create.imported) <= MODULES_MAX


def test_a_plain_create_imports_no_module_that_it_does_not_need(plain_create: Probe) -> None:
    names = plain_create.imported + plain_create.imported_late
    packages = {".".join(name.split(".")[:depth]) for name in names for depth in range(1, 5)}
    assert packages & FORBIDDEN == set()


def test_the_first_call_imports_at_most_five_modules(plain_create: Probe) -> None:
    assert len(plain_create.imported_late) <= 5, plain_create.imported_late


def test_a_plain_create_makes_one_put_and_no_lookup(plain_create: Probe) -> None:
    assert plain_create.calls == ["PutItem"]


def test_no_module_is_compiled_at_a_start(plain_create: Probe) -> None:
    assert [name for name in plain_create.compiled if name.endswith(".py")] == []


def test_function_and_layer_are_within_their_size_budget(tmp_path: Path) -> None:
    archives, unzipped = pack(BUILD, tmp_path)
    assert sum(archive.stat().st_size for archive in archives) <= ZIPPED_MAX
    assert 0 < unzipped <= UNZIPPED_MAX


def test_the_layer_has_botocore_data_only_of_the_services_that_the_functions_call() -> None:
    sources = [path.read_text() for path in (ROOT / "functions").rglob("*.py")]
    called = {name for source in sources for name in re.findall(r'(?:make|create)_client\(\s*"(\w+)"', source)}
    data = BUILD / "DependenciesLayer/python/botocore/data"
    endpoints = json.loads((data / "endpoints.json").read_text())
    assert called == SERVICES
    assert {folder.name for folder in data.iterdir() if folder.is_dir()} == SERVICES
    assert {name for partition in endpoints["partitions"] for name in partition["services"]} == SERVICES


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a key and a certificate for 127.0.0.1, and with the certificate of its authority."""
    path, authority = tmp_path_factory.mktemp("certificate") / "stub.pem", trustme.CA()
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(path)
    authority.cert_pem.write_to_path(path, append=True)
    return path


def test_in_lambda_the_start_opens_the_connection_that_the_first_request_uses(
    unpacked: Path, certificate: Path
) -> None:
    in_lambda = {"AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand", "AWS_CA_BUNDLE": str(certificate)}
    assert probe(unpacked, certificate, **in_lambda).connections == [1, 0]


def test_outside_lambda_an_import_opens_no_connection(plain_create: Probe, unpacked: Path, certificate: Path) -> None:
    assert plain_create.connections == [0, 1]
    assert probe(unpacked, certificate, AWS_CA_BUNDLE=str(certificate)).connections == [0, 1]
