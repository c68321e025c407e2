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

import pytest
import urllib3
from conftest import DOCUMENTED, ROOT, describe
from markdown import read_commands
from stack.conftest import run

import invoke
from local_stack.deployment import ARCHITECTURE

# One event for each function, and a replay. tests/integration runs all events in memory.
EVENTS = ["create-session-with-references", "get-session", "publish-events", "import-directory", "add-claims"]
REPLAY = "create-session-replay"

type Output = tuple[str, str]  # standard output and standard error


def start_invoke(name: str, scratch: Path) -> subprocess.Popen[str]:
    """Start the program of `make invoke`, with its temporary files in a folder."""
    path = os.pathsep.join(str(ROOT / folder) for folder in ("functions", "tools"))
    return subprocess.Popen(
        [sys.executable, ROOT / "tools/invoke.py", ROOT / f"events/{name}.json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": path, "TMPDIR": str(scratch)},
        start_new_session=True,
    )


def run_invoke(name: str, scratch: Path) -> Output:
    return start_invoke(name, scratch).communicate(timeout=300)


@pytest.fixture(scope="module", autouse=True)
def docker() -> None:
    try:
        invoke.find_address()
    except SystemExit as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the temporary files of `make invoke`."""
    return tmp_path_factory.mktemp("scratch")


@pytest.fixture(scope="module")
def running(scratch: Path) -> Iterator[dict[str, Future[Output]]]:
    """The output of each event. Two run at a time, because each takes seconds to start."""
    with ThreadPoolExecutor(2) as pool:
        yield {name: pool.submit(run_invoke, name, scratch) for name in [REPLAY, *EVENTS]}


@pytest.mark.parametrize("name", EVENTS)
def test_the_built_function_answers_as_documented(running: dict[str, Future[Output]], name: str) -> None:
    printed, logged = running[name].result()
    assert printed, logged
    assert describe(json.loads(printed)) == DOCUMENTED[name], logged


def test_the_built_function_stores_a_session_and_replays_it(running: dict[str, Future[Output]]) -> None:
    printed, logged = running[REPLAY].result()
    assert printed, logged
    first, end = json.JSONDecoder().raw_decode(printed)
    second = json.loads(printed[end:])
    assert (first["statusCode"], json.loads(first["body"])["toAddress"]) == (200, "+15557654321")
    assert second == first | {"headers": first["headers"] | {"Idempotent-Replayed": "true"}}


def test_make_invoke_leaves_no_files_behind(running: dict[str, Future[Output]], scratch: Path) -> None:
    for each in running.values():
        assert each.result()
    assert list(scratch.iterdir()) == []


def test_an_interrupted_make_invoke_leaves_no_container_and_no_files(tmp_path: Path) -> None:
    process = start_invoke("import-directory", tmp_path)
    assert process.stderr
    container = next(found[1] for line in process.stderr if (found := re.match(r"SAM_CONTAINER_ID: (\w+)", line)))
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate(timeout=60)[1].endswith("Interrupted.\n")
    left = invoke.docker("ps", "--all", "--quiet", "--filter", f"id={container}")
    assert (left, list(tmp_path.iterdir())) == ("", [])


@pytest.mark.parametrize(("variable", "value"), [("DOCKER_HOST", "unix:///nonexistent"), ("PATH", "")])
def test_make_invoke_says_in_one_sentence_that_it_needs_docker(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit, match=r"^Docker is needed: [^\n]+$"):
        invoke.find_address()


def test_make_invoke_names_a_missing_event(tmp_path: Path) -> None:
    _, error = start_invoke("create-session-missing", tmp_path).communicate(timeout=60)
    assert re.search(r"create-session-missing\.json cannot be read: [^\n]+\n$", error)


@pytest.fixture
def api(tmp_path: Path) -> Iterator[str]:
    """The URL of sam local start-api, started as the README says, on a free port."""
    start = read_sam_command("start-api")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            ["/bin/sh", "-c", f"exec {start} --port {port}"],
            cwd=ROOT,
            env=sam_environment(tmp_path),
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


def read_sam_command(name: str) -> str:
    """Return a command `sam local …` of the README, for this machine and without a pull of the image."""
    [command] = [command for command in read_commands(ROOT / "README.md") if f"sam local {name} " in command]
    return command.replace("Architecture=x86_64", f"Architecture={ARCHITECTURE} --skip-pull-image")


def sam_environment(tmp: Path) -> dict[str, str]:
    """Return the environment of a developer without an AWS account."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    path = f"{ROOT / 'tools/sam/.venv/bin'}:{os.environ['PATH']}"
    added = {"PATH": path, "AWS_EC2_METADATA_DISABLED": "true", "SAM_CLI_TELEMETRY": "0", "TMPDIR": str(tmp)}
    return kept | added


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_start_api_of_the_readme_serves_requests_without_claims(api: str) -> None:
    headers = {"Authorization": "Bearer whatever"}
    reply = urllib3.request("POST", f"{api}/sessions", body="{}", headers=headers, timeout=120, retries=False)
    assert reply.status == 401
    assert reply.json()["responseStatus"]["errorCode"] == "Unauthorized"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the project's files that `sam local` reads, and without a local stack."""
    for name in ("samconfig.toml", "template.yaml", "events", ".aws-sam"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def sam_local_invoke(project: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", "-c", read_sam_command("invoke")],
        cwd=project,
        env=sam_environment(project) | {"AWS_ACCESS_KEY_ID": "the", "AWS_SECRET_ACCESS_KEY": "developer's"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_sam_local_invoke_of_the_readme_creates_a_session_in_the_local_stack(project: Path) -> None:
    state = project / ".local"
    try:
        started = run(state, "start", "--port", "0")
        assert started.returncode == 0, started.stderr
        invoked = sam_local_invoke(project)
        assert '"statusCode": 200' in invoked.stdout, invoked.stderr
        session = json.loads(json.loads(invoked.stdout)["body"])
        lock = json.loads((state / "lock").read_text())
        reply = urllib3.request(
            "GET",
            f"{run(state, 'url').stdout.strip()}/{session['id']}",
            headers={"Authorization": f"Bearer {run(state, 'token').stdout.strip()}"},
        )
        assert reply.json() == session
        outside = f"http://{invoke.find_address()}:{lock['port']}/_ministack/ready"
        assert urllib3.request("GET", outside, headers={"Host": "host.docker.internal"}).status == 403
    finally:
        run(state, "stop")


def test_sam_local_invoke_without_the_local_stack_names_the_missing_file(project: Path) -> None:
    assert "'.local/made-by-make-start.json' does not exist" in sam_local_invoke(project).stderr
