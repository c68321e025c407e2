"""The built functions in containers of the Lambda runtime, run by sam local, against an AWS of moto."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest
import urllib3
from conftest import DOCUMENTED, ROOT, describe
from markdown import read_commands

import invoke

# One for each function. What the other events are for is the same here as in memory.
WITH_REFERENCES = "create-session-with-references"
IMPORTANT = [WITH_REFERENCES, "get-session", "publish-events", "import-directory", "add-claims"]
REPLAY = "create-session-replay"


def path(name: str) -> Path:
    return ROOT / f"events/{name}.json"


def make_invoke(event: Path, scratch: Path) -> subprocess.Popen[str]:
    """Starts what `make invoke` runs, with its temporary files in a folder."""
    return subprocess.Popen(
        [sys.executable, ROOT / "tools/invoke.py", event],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT / "functions"), "TMPDIR": str(scratch)},
    )


@pytest.fixture(scope="module")
def address() -> str:
    try:
        return invoke.find_address()
    except SystemExit as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `make invoke` has its temporary files."""
    return tmp_path_factory.mktemp("scratch")


@pytest.fixture(scope="module")
def running(address: str, scratch: Path) -> Iterator[dict[str, Future[Any]]]:
    """What sam local runs, by event; two at a time, as each takes seconds to start."""
    invoke.get_image()
    resources = invoke.read_resources()
    with invoke.serve(address) as port, pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(2) as pool:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{address}:{port}")
        invoke.make_tables(resources)
        invoke.fill()
        running: dict[str, Future[Any]] = {
            REPLAY: pool.submit(make_invoke(path(REPLAY), scratch).communicate, timeout=300)
        }
        for name in IMPORTANT:
            function = invoke.find_function(path(name), resources)
            running[name] = pool.submit(invoke.invoke, function, path(name), address, port)
        yield running


@pytest.mark.parametrize("name", IMPORTANT)
def test_the_built_function_answers_as_documented(running: dict[str, Future[Any]], name: str) -> None:
    answer, logged = running[name].result()
    assert describe(answer) == DOCUMENTED[name], logged


def test_the_built_function_stores_what_it_replies(running: dict[str, Future[Any]]) -> None:
    answer, _ = running[WITH_REFERENCES].result()
    session = json.loads(answer["body"])
    key = {"pk": {"S": f"{session['accountId']}#{session['id']}"}}
    item = boto3.client("dynamodb").get_item(TableName="sessions", Key=key)["Item"]
    assert item["dateCreated"] == {"S": session["dateCreated"]}


def test_make_invoke_shows_a_replay(running: dict[str, Future[Any]]) -> None:
    printed, said = running[REPLAY].result()
    assert printed, said
    first, end = json.JSONDecoder().raw_decode(printed)
    second = json.loads(printed[end:])
    assert (first["statusCode"], first["body"]["toAddress"]) == (200, "+15557654321")
    assert second == first | {"headers": first["headers"] | {"Idempotent-Replayed": "true"}}
    logged = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert [line["message"] for line in logged if "message" in line] == ["Created", "Replayed"]


def test_make_invoke_leaves_no_files_behind(running: dict[str, Future[Any]], scratch: Path) -> None:
    assert running[REPLAY].result()
    assert list(scratch.iterdir()) == []


def test_make_invoke_leaves_nothing_behind_when_it_is_interrupted(address: str, tmp_path: Path) -> None:
    assert address
    process = make_invoke(path("import-directory"), tmp_path)
    while not (
        told := [found for log in tmp_path.glob("*/log") for found in invoke.CONTAINER.findall(log.read_text())]
    ):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60)[1].endswith("Interrupted.\n")
    left = invoke.docker("ps", "--all", "--quiet", "--filter", f"id={told[0]}")
    assert (left.returncode, left.stdout) == (0, "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("DOCKER_HOST", "unix:///nonexistent", "Docker is needed, and no engine answers: .+"),
        ("PATH", "", "Docker is needed, and is not to be found."),
    ],
)
def test_make_invoke_says_in_one_sentence_that_it_needs_docker(
    address: str, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, sentence: str
) -> None:
    assert address
    monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit) as ended:
        invoke.run(path("create-session"))
    assert re.fullmatch(sentence, str(ended.value))


def test_an_event_that_is_missing_is_named() -> None:
    with pytest.raises(SystemExit, match=r"create-session-missing\.json cannot be read: "):
        invoke.run(path("create-session-missing"))


def test_an_image_that_cannot_be_had_is_named(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert address
    monkeypatch.setattr(invoke, "IMAGE", "127.0.0.1:9/nowhere")
    with pytest.raises(SystemExit, match=r"^127\.0\.0\.1:9/nowhere is not here, and cannot be pulled: "):
        invoke.get_image()


@pytest.fixture
def api(address: str, tmp_path: Path) -> Iterator[str]:
    """The URL of sam local start-api, started as the README says, on a free port."""
    assert address
    [start] = [command for command in read_commands(ROOT / "README.md") if " local start-api " in command]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            ["/bin/sh", "-c", f"exec {start} --port {port}"],
            cwd=ROOT,
            env=environment | {"AWS_EC2_METADATA_DISABLED": "true", "SAM_CLI_TELEMETRY": "0", "TMPDIR": str(tmp_path)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            while not listens(port):
                assert process.poll() is None, (tmp_path / "log").read_text()
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_start_api_of_the_readme_serves_requests_without_claims(api: str) -> None:
    headers = {"Authorization": "Bearer whatever"}
    reply = urllib3.request("POST", f"{api}/sessions", body="{}", headers=headers, timeout=120, retries=False)
    assert reply.status == 401
    assert reply.json()["responseStatus"]["errorCode"] == "Unauthorized"
