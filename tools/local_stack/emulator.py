"""The process of the AWS emulator.

A local stack lives in memory and in its state folder, so several stacks can run side by side. The state folder holds:

    lock          the pid, the port and the secret of the emulator, which keeps this file locked until it ends
    start.lock    locked while make start or make stop runs
    emulator.log  the output of the emulator
    deploy.log    the output of `sam deploy`
    tmp/          the temporary files of the emulator and of the functions
    made-by-make-start.json     the environment of the functions in containers, for `sam local invoke`
"""

import fcntl
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_network
from pathlib import Path
from typing import NamedTuple
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parents[2]
LAUNCHER = [ROOT / "tools/emulator/.venv/bin/python", ROOT / "tools/emulator/launch.py"]
REGION = "us-east-1"  # as in samconfig.toml


class Emulator(NamedTuple):
    """A running emulator: the id of its process, which leads a process group, its port, and the secret of its guard."""

    pid: int
    port: int
    secret: str


@contextmanager
def hold(state: Path) -> Iterator[None]:
    """Let one start or stop of a stack run at a time. Raise SystemExit if another one is running."""
    state.mkdir(parents=True, exist_ok=True)
    with (state / "start.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit("Another make start or make stop is running: wait for its end, or interrupt it.") from None
        yield


def start_emulator(state: Path, port: int) -> None:
    """Start an emulator that outlives this process; return when it accepts requests."""
    tmp = state.resolve() / "tmp"
    shutil.rmtree(tmp, ignore_errors=True)
    tmp.mkdir(parents=True)
    # Functions inherit this environment, so it has no setting of the developer.
    environment = {
        "PATH": os.defpath,
        "HOME": str(tmp),
        "TMPDIR": str(tmp),
        "STATE_DIR": str(tmp / "state"),
        "S3_DATA_DIR": str(tmp / "s3"),
        "GATEWAY_PORT": str(port),
        "MINISTACK_REGION": REGION,
        "AUTH": "true",  # enforce the roles of the functions
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "DOCKER_HOST": "unix:///nonexistent",  # the emulator removes containers that look like its own
    }
    secret = secrets.token_hex(16)
    addresses = [f"{host}:{port}" for host in ("127.0.0.1", find_bridge(port)) if host]
    # The emulator inherits the lock and holds it until it ends. A pid alone could belong to a later process.
    with (state / "lock").open("a+") as lock, (state / "emulator.log").open("w") as log:
        fcntl.flock(lock, fcntl.LOCK_EX)  # waits for find_emulator in other commands
        lock.truncate(0)
        process = subprocess.Popen(
            [*LAUNCHER, tmp / "worker", secret, *addresses],
            env=environment,
            cwd=tmp,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=[lock.fileno()],
        )
        json.dump(Emulator(process.pid, port, secret)._asdict(), lock)
    deadline = time.monotonic() + 60
    while True:
        with suppress(OSError), urlopen(f"http://127.0.0.1:{port}/_ministack/ready", timeout=5):
            return
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"The local AWS did not start: {last_line(state / 'emulator.log')}")
        time.sleep(0.05)


def find_bridge(port: int) -> str | None:
    """Return the address of this machine on Docker's bridge, if it can serve this port there.

    Only Docker on Linux has such an address. Docker Desktop forwards the requests of containers to 127.0.0.1.
    """
    inspect = ["docker", "network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Subnet}}"]
    try:
        subnet = subprocess.run(inspect, capture_output=True, text=True, check=True, timeout=5).stdout
        bridge = str(ip_network(subnet.strip())[1])
        socket.create_server((bridge, port)).close()
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return bridge


def last_line(log: Path) -> str:
    """Return the last line of a log."""
    return log.read_text().strip().rpartition("\n")[2]


def find_emulator(state: Path) -> Emulator | None:
    """Return the emulator that runs with this state folder."""
    with suppress(FileNotFoundError), (state / "lock").open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            content = lock.read()  # empty while the emulator starts
            return Emulator(**json.loads(content)) if content else None
    return None


def stop_emulator(state: Path) -> bool:
    """Kill the emulator and the functions, and wait until they have ended. Return whether any ran. Keep the log."""
    emulator = find_emulator(state)
    if emulator:
        deadline = time.monotonic() + 10
        # A group whose processes have ended, but have no exit status read yet, is a PermissionError on macOS.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(emulator.pid, signal.SIGKILL)
            with suppress(ChildProcessError):  # only the process that started the emulator can wait for it
                os.waitpid(emulator.pid, 0)
            while time.monotonic() < deadline:
                os.killpg(emulator.pid, 0)
                time.sleep(0.02)
    shutil.rmtree(state / "tmp", ignore_errors=True)
    return emulator is not None


def use_endpoint(url: str) -> None:
    """Point boto3 and sam to an endpoint, whatever AWS account and settings the developer's shell has."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "SAM_", "PYTHON"))]:
        del os.environ[name]
    os.environ |= {
        "AWS_ENDPOINT_URL": url,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "SAM_CLI_TELEMETRY": "0",
        "no_proxy": "*",
    }


def check_port(port: int) -> int:
    """Return the port, or a free one for 0. Raise OSError if a program listens on the port of 127.0.0.1."""
    with socket.create_server(("127.0.0.1", port)) as probe:
        free: int = probe.getsockname()[1]
        return free
