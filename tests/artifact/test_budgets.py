"""What start-up, a create and a deploy may cost, in counts: they are the same on every machine and on every run.

The clocks are in tests/benchmarks. A budget that is missed tells what grew; raise it only with the benchmark's figures.
"""

import json
import os
import subprocess
import sys
import zipfile
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import NamedTuple

import pytest
from benchmarks.subjects import pack, serve
from conftest import ROOT, make_event
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

LOCAL = ROOT / ".aws-sam/local"
BUILDS = [ROOT / ".aws-sam/build", LOCAL]
MODULES_MAX = 455
ZIPPED_MAX, UNZIPPED_MAX = 9_000_000, 25_000_000
SERVICES = {"dynamodb", "events", "sqs"}

# Each takes its time to import, and a plain create needs none of them.
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

# Where the functions' botocore sends a put in each region, and what it signs it for.
ENDPOINTS = """
import json
from botocore.config import Config
from botocore.session import Session
found, session = {}, Session()
def note(request, **_):
    credential = request.headers["Authorization"].decode().split("Credential=")[1].split(",")[0]
    found[client.meta.region_name] = [request.url, credential.split("/", 2)[2]]
    raise SystemExit
for partition in session.get_available_partitions():
    for region in session.get_available_regions("dynamodb", partition):
        client = session.create_client("dynamodb", region)
        client.meta.events.register("before-send", note)
        try:
            client.put_item(TableName="sessions", Item={})
        except SystemExit:
            pass
print(json.dumps(found))
"""

# One create against the stub, by the artifact alone, and what it made the process do.
PROBE = """
import json, sys
compiled, connected = [], []
def audit(name, details):
    if name == "compile":
        compiled.append(str(details[1]))
    elif name == "socket.connect":
        connected.append(details[1])
sys.addaudithook(audit)
from sessions import create_session, store
calls = []
store.client.meta.events.register("before-call.dynamodb", lambda model, **_: calls.append(model.name))
imported, connected_early = sorted(sys.modules), len(connected)
class Context:
    function_name = aws_request_id = "probe"
    def get_remaining_time_in_millis(self):
        return 28_000
response = handler.handler(json.load(sys.stdin), Context())
connections = [connected_early, len(connected) - connected_early]
print(json.dumps([response["statusCode"], calls, imported, sorted(sys.modules), compiled, connections]))
"""


class Probe(NamedTuple):
    status: int
    calls: list[str]
    imported: list[str]
    in_the_end: list[str]
    compiled: list[str]
    connections: list[int]
    """How many were opened by the import, and how many by the call."""


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The function as it was built for this machine, out of its zips: so the files have new dates."""
    folder = tmp_path_factory.mktemp("unpacked")
    for packed in pack(LOCAL, folder)[0]:
        with zipfile.ZipFile(packed) as archive:
            archive.extractall(folder)
    return folder


def probe(unpacked: Path, certificate: Path | None = None, **environment: str) -> Probe:
    """A plain create by this function and nothing else, against the stub; with TLS, given key and certificate."""
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
        }
        run = subprocess.run(
            [sys.executable, "-S", "-B", "-W", "error", "-c", PROBE],
            input=json.dumps(make_event({"displayName": "Order 1042", "channel": "Voice", "startSession": True})),
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
    return Probe(*json.loads(run.stdout.splitlines()[-1]))


@pytest.fixture(scope="module")
def plain_create(unpacked: Path) -> Probe:
    return probe(unpacked)


def test_a_create_imports_no_more_modules_than_the_budget(plain_create: Probe) -> None:
    assert plain_create.status == 200
    assert len(plain_create.imported) <= MODULES_MAX


def test_a_plain_create_imports_nothing_that_only_others_need(plain_create: Probe) -> None:
    packages = {".".join(name.split(".")[:depth]) for name in plain_create.in_the_end for depth in range(1, 5)}
    assert packages & FORBIDDEN == set()


def test_a_first_call_imports_next_to_nothing(plain_create: Probe) -> None:
    late = set(plain_create.in_the_end) - set(plain_create.imported)
    assert len(late) <= 5, late


def test_a_plain_create_is_one_put_and_no_read(plain_create: Probe) -> None:
    assert plain_create.calls == ["PutItem"]


@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.name)
def test_function_and_layer_are_within_their_bytes(build: Path, tmp_path: Path) -> None:
    archives, unzipped = pack(build, tmp_path)
    assert sum(archive.stat().st_size for archive in archives) <= ZIPPED_MAX
    assert unzipped <= UNZIPPED_MAX


@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.name)
def test_the_layer_has_the_data_of_the_services_that_the_functions_call_and_of_no_other(build: Path) -> None:
    data = build / "DependenciesLayer/python/botocore/data"
    called = {
        name
        for source in (ROOT / "functions").rglob("*.py")
        for name in SERVICES | {"s3", "sts", "ssm", "secretsmanager"}
        if f'create_client("{name}"' in source.read_text()
    }
    assert {folder.name for folder in data.iterdir() if folder.is_dir()} == called == SERVICES
    endpoints = json.loads((data / "endpoints.json").read_text())
    assert {name for partition in endpoints["partitions"] for name in partition["services"]} == SERVICES


def test_dynamodb_is_found_where_botocore_finds_it_by_its_rules(unpacked: Path) -> None:
    """The layer does without these rules: to go through them is a twentieth of a plain create."""
    environment = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    found = []
    for options, path in (([], ""), (["-S"], f"{unpacked}/python")):
        command = [sys.executable, *options, "-c", ENDPOINTS]
        run = subprocess.run(
            command, env=environment | {"PYTHONPATH": path}, capture_output=True, text=True, check=True
        )
        found.append(json.loads(run.stdout))
    assert len(found[0]) > 30
    assert found[0] == found[1]
    assert not list((unpacked / "python/botocore/data/dynamodb").rglob("endpoint-rule-set*"))


def test_no_module_is_compiled_when_it_comes_out_of_the_zip(plain_create: Probe) -> None:
    assert [name for name in plain_create.compiled if name.endswith(".py")] == []


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key with a certificate for 127.0.0.1, which is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path = tmp_path_factory.mktemp("certificate") / "stub.pem"
    path.write_bytes(key.private_bytes(*form) + made.public_bytes(serialization.Encoding.PEM))
    return path


def test_in_lambda_the_first_request_finds_the_connection_open(unpacked: Path, certificate: Path) -> None:
    in_lambda = {"AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand", "AWS_CA_BUNDLE": str(certificate)}
    assert probe(unpacked, certificate, **in_lambda).connections == [1, 0]


def test_elsewhere_an_import_connects_to_nothing(plain_create: Probe, unpacked: Path, certificate: Path) -> None:
    assert plain_create.connections == [0, 1]
    assert probe(unpacked, certificate, AWS_CA_BUNDLE=str(certificate)).connections == [0, 1]
