"""The commands of the local stack: the files and processes that they leave, and their errors."""

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
import urllib3
from stack.conftest import Stack, command, run

from local_stack import emulator
from local_stack.__main__ import start


def test_start_prints_a_curl_that_works_as_pasted_and_updates_a_running_stack(stack: Stack) -> None:
    again = run(stack.state, "start", "--port", str(stack.port))
    curl = again.stdout[again.stdout.index("curl ") :]
    pasted = subprocess.run(["sh", "-c", curl], capture_output=True, text=True, check=True)  # noqa: S607
    assert again.returncode == 0
    assert '"fromAddress":"ada@example.com"' in pasted.stdout
    assert f"Page:  {run(stack.state, 'page').stdout.strip()}" in again.stdout


def test_logs_name_a_created_session(stack: Stack, token: str) -> None:
    session = stack.post({}, token).json()
    assert session["id"] in run(stack.state, "logs").stdout


def test_stop_leaves_no_process_and_no_folder(tmp_path: Path) -> None:
    state = tmp_path / "state"
    try:
        started = run(state, "start", "--port", "0")
        assert started.returncode == 0, started.stderr
        group = json.loads((state / "lock").read_text())["pid"]
        os.killpg(group, 0)
    finally:
        stopped = run(state, "stop")
    assert (stopped.returncode, stopped.stdout) == (0, "The local stack is stopped, and its data is removed.\n")
    with pytest.raises(ProcessLookupError):
        os.killpg(group, 0)
    assert list(tmp_path.iterdir()) == []
    assert run(state, "stop").stdout == "No local stack is running.\n"


def test_an_interrupted_start_leaves_no_process(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with subprocess.Popen(command(state, "start", "--port", "0"), stderr=subprocess.PIPE, text=True) as start:
        deadline = time.monotonic() + 60
        while not (state / "deploy.log").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        start.send_signal(signal.SIGINT)
        _, said = start.communicate(timeout=60)
    assert start.returncode == 1
    assert said.endswith("Interrupted.\n")
    with pytest.raises(ProcessLookupError):
        os.killpg(json.loads((state / "lock").read_text())["pid"], 0)
    run(state, "stop")
    assert list(tmp_path.iterdir()) == []


def test_a_start_and_a_stop_during_a_start_are_refused(stack: Stack) -> None:
    with subprocess.Popen(
        command(stack.state, "start"), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as first:
        assert first.stderr
        assert first.stderr.readline() == "Deploying the stack\n"
        refused = [run(stack.state, name) for name in ("start", "stop")]
        first.communicate(timeout=180)
    assert first.returncode == 0
    for each in refused:
        assert each.returncode == 1
        assert each.stderr == "Another make start or make stop is running: wait for its end, or interrupt it.\n"


def test_a_document_that_is_not_json_is_refused_with_its_place(stack: Stack, tmp_path: Path) -> None:
    document = tmp_path / "it's a document.json"
    for content, reason in (
        ("", "Expecting value: line 1 column 1"),
        ('{"accounts": [{"id": "x",}]}', "line 1 column 2"),
        ("\ufeff{}", "BOM"),
    ):
        document.write_text(content)
        refused = run(stack.state, "import", "--document", str(document))
        assert refused.returncode == 1
        assert refused.stderr.startswith("The document is not JSON in UTF-8, and nothing was written: ")
        assert reason in refused.stderr


def test_start_names_a_taken_port_in_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        refused = run(tmp_path / "state", "start", "--port", str(port))
    assert refused.returncode == 1
    assert refused.stderr == f"Port {port} is taken by another program: run make start PORT=0 for a free one.\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("port", ["http", "65536"])
def test_start_refuses_a_port_that_is_no_port(tmp_path: Path, port: str) -> None:
    refused = run(tmp_path / "state", "start", "--port", port)
    assert refused.stderr == f"local_stack: error: argument --port: invalid port value: '{port}'\n"
    assert list(tmp_path.iterdir()) == []


def test_start_says_when_a_port_needs_rights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> int:
        raise PermissionError

    monkeypatch.setattr(emulator, "check_port", refuse)  # root, as in CI, may use any port
    with pytest.raises(SystemExit, match="Port 80 needs the rights of an administrator: run make start PORT=0"):
        start(tmp_path, 80)


@pytest.mark.parametrize("name", ["page", "url", "token", "logs", "watch"])
def test_a_command_that_needs_a_stack_says_how_to_start_one(tmp_path: Path, name: str) -> None:
    refused = run(tmp_path / "state", name)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == "The local stack is not running: run make start.\n"


def test_a_foreign_page_or_host_is_refused_and_the_api_keeps_its_cors(stack: Stack) -> None:
    def send(path: str, **headers: str) -> urllib3.BaseHTTPResponse:
        return urllib3.request("GET", stack.endpoint + path, headers=headers, retries=False)

    assert send("/page/index.html").status == 200
    assert send("/page/index.html", host="rebound.example:4566").status == 403
    assert send("/2015-03-31/functions/", origin="https://evil.example").status == 403
    path = stack.base_url.removeprefix(stack.endpoint) + "/sessions"
    for origin, allowed in (("http://localhost:5173", "http://localhost:5173"), ("https://evil.example", None)):
        answer = urllib3.request(
            "OPTIONS", stack.endpoint + path, headers={"Origin": origin, "Access-Control-Request-Method": "POST"}
        )
        assert answer.headers.get("Access-Control-Allow-Origin") == allowed
