"""What start-up, a create and a deploy may cost, in counts: they are the same on every machine and on every run.

The clocks are in tests/benchmarks. A budget that is missed tells what grew; raise it only with the benchmark's figures.
"""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import ROOT, make_event

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

# One create against the stub, by the artifact alone, and what it made the process do.
PROBE = """
import json, sys
compiled = []
sys.addaudithook(lambda name, details: compiled.append(str(details[1])) if name == "compile" else None)
from sessions import create_session, store
calls = []
store.client.meta.events.register("before-call.dynamodb", lambda model, **_: calls.append(model.name))
imported = sorted(sys.modules)
class Context:
    function_name = aws_request_id = "probe"
    def get_remaining_time_in_millis(self):
        return 28_000
response = create_session.handler(json.load(sys.stdin), Context())
print(json.dumps([response["statusCode"], calls, imported, sorted(sys.modules), compiled]))
"""


class Probe(NamedTuple):
    status: int
    calls: list[str]
    imported: list[str]
    in_the_end: list[str]
    compiled: list[str]


def pack(build: Path, folder: Path) -> tuple[list[Path], int]:
    """Function and layer as zips in a folder, and the bytes of the files in them."""
    archives, unzipped = [], 0
    for name in ("CreateSessionFunction", "DependenciesLayer"):
        archives.append(folder / f"{name}.zip")
        files = [path for path in (build / name).rglob("*") if path.is_file()]
        with zipfile.ZipFile(archives[-1], "w", zipfile.ZIP_DEFLATED) as archive:
            for file in files:
                archive.write(file, file.relative_to(build / name))
        unzipped += sum(file.stat().st_size for file in files)
    return archives, unzipped


@pytest.fixture(scope="module")
def plain_create(tmp_path_factory: pytest.TempPathFactory) -> Probe:
    """A plain create by the function as it was built for this machine, out of its zips: so the files have new dates."""
    folder = tmp_path_factory.mktemp("unpacked")
    for packed in pack(LOCAL, folder)[0]:
        with zipfile.ZipFile(packed) as archive:
            archive.extractall(folder)
    stub = subprocess.Popen(
        [sys.executable, "-S", str(ROOT / "tests/benchmarks/stub.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with stub:
        assert stub.stdin
        assert stub.stdout
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{folder}:{folder}/python",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{stub.stdout.readline().strip()}",
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
        stub.stdin.close()
    return Probe(*json.loads(run.stdout.splitlines()[-1]))


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


def test_no_module_is_compiled_when_it_comes_out_of_the_zip(plain_create: Probe) -> None:
    assert [name for name in plain_create.compiled if name.endswith(".py")] == []
