"""Loads a local stack of its own for a while, and fails on any error or on workers that keep growing; `make soak`.

Sixteen clients create sessions (plain ones, with references, with a key and then again with it) and read them back,
each as fast as the emulator answers. Its times are not those of AWS: what they show is that nothing piles up.
"""

import argparse
import json
import math
import secrets
import signal
import socket
import subprocess
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from pathlib import Path
from statistics import quantiles
from typing import Any

import urllib3

import local_stack

CLIENTS = 16
TIMEOUT = 30  # seconds that a reply may take
WARM_UP = 300  # and a client's first ones: the emulator unpacks the layer for each worker, here 32 times
# Megabytes by which a worker may grow from the first measurement, a tenth into the run, to the last. In two minutes
# each answers about 500 requests and grows by 0.4 MB; one that kept 6 KB of each would have grown by 3.
GROWTH_MAX = 3
REFERENCES = {"withAddress": "team:support", "customerId": "northwind-paris", "fromPhoneNumber": "+15550100001"}


class Client:
    """One client, which counts what it does."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self.authorization = {"Authorization": f"Bearer {token}"}
        self.http = urllib3.PoolManager(retries=False)
        self.patience = WARM_UP
        self.until = 0.0
        self.seconds: list[float] = []
        self.done: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()

    def warm_up(self) -> None:
        """One create and one read, which are not counted but for their errors."""
        created = self.send("create", self.url, {})
        if created:
            self.send("read", f"{self.url}/{json.loads(created)['id']}")
        self.patience = TIMEOUT
        self.seconds.clear()
        self.done.clear()

    def run(self) -> None:
        """Repeats the mix until it is time."""
        while time.monotonic() < self.until:
            self.mix()

    def mix(self) -> None:
        """One of each kind of request."""
        plain = self.send("create", self.url, {"channel": "Voice"})
        self.send("create with references", self.url, REFERENCES)
        key = secrets.token_hex(16)
        keyed = self.send("create with a key", self.url, REFERENCES, key)
        replayed = self.send("replay", self.url, REFERENCES, key)
        if replayed != keyed:
            self.errors["a replay is another session"] += 1
        if plain and self.send("read", f"{self.url}/{json.loads(plain)['id']}") != plain:
            self.errors["a read is another session"] += 1

    def send(self, kind: str, url: str, body: dict[str, Any] | None = None, key: str | None = None) -> bytes:
        """The body of the reply; nothing, and an error counted, if it is not what it must be."""
        headers = self.authorization | ({"Idempotency-Key": key} if key else {})
        method = "GET" if body is None else "POST"
        begun = time.perf_counter()
        try:
            response = self.http.request(method, url, headers=headers, json=body, timeout=self.patience)
        except urllib3.exceptions.HTTPError as error:
            self.errors[f"{kind}: {type(error).__name__}"] += 1
            return b""
        self.seconds.append(time.perf_counter() - begun)
        self.done[kind] += 1
        if response.status != 200 or ("Idempotent-Replayed" in response.headers) != (kind == "replay"):
            self.errors[f"{kind}: {response.status}, replayed: {response.headers.get('Idempotent-Replayed')}"] += 1
            return b""
        return response.data


def measure_memory(group: int) -> dict[str, float]:
    """Resident megabytes of the emulator and of the largest worker of each function, by name."""
    listing = subprocess.run(["ps", "-A", "-o", "pgid=,rss=,args="], capture_output=True, text=True, check=True).stdout
    found: dict[str, float] = {}
    for line in listing.splitlines():
        process_group, kilobytes, command = line.split(None, 2)
        if int(process_group) == group:
            _, _, worker = command.partition("ministack-lambda-sessions-")
            name = worker.partition("-")[0] or "emulator"
            found[name] = max(found.get(name, 0), int(kilobytes) / 1024)
    return found


def soak(state: Path, seconds: float) -> bool:
    """Runs the load on a stack in this state folder, prints what came of it, and tells whether all was well."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    with redirect_stdout(None):  # how to use it by hand
        local_stack.start(state, port)
    emulator = local_stack.need_emulator(state)
    url, token = local_stack.sessions_url(port), local_stack.access_token("ada@example.com")

    clients = [Client(url, token) for _ in range(CLIENTS)]
    measured = []
    with ThreadPoolExecutor(CLIENTS) as pool:
        try:
            with local_stack.step(f"Warming up for {CLIENTS} clients"):
                for each in [pool.submit(client.warm_up) for client in clients]:
                    each.result()
            begun = time.monotonic()
            for client in clients:
                client.until = begun + seconds
            running = [pool.submit(client.run) for client in clients]
            for part in (0.1, 0.5, 1.0):
                time.sleep(max(0, begun + part * seconds - time.monotonic()))
                measured.append(measure_memory(emulator.pid))
            for each in running:
                each.result()
        except BaseException:
            for client in clients:
                client.until = 0
            local_stack.stop(state)  # so that no client waits for a reply
            raise

    times = [each for client in clients for each in client.seconds]
    errors = sum((client.errors for client in clients), Counter[str]())
    done = sum((client.done for client in clients), Counter[str]())
    percentiles = quantiles(times, n=100)
    print(f"{CLIENTS} clients, {seconds:.0f} s: {len(times)} requests, {len(times) / seconds:.0f} a second")
    print(", ".join(f"{kind} {count}" for kind, count in done.items()))
    print(f"p50 {percentiles[49] * 1000:.0f} ms, p99 {percentiles[98] * 1000:.0f} ms; errors: {errors.total()}")
    for error, count in errors.items():
        print(f"  {count} of: {error}")
    print(f"\n{'memory, MB':<26}{'start':>8}{'middle':>8}{'end':>8}")
    steady = True
    for name in sorted(measured[-1]):
        row = [each.get(name, math.nan) for each in measured]
        grown = name != "emulator" and row[-1] - row[0] > GROWTH_MAX  # the emulator keeps all sessions in memory
        steady = steady and not grown
        print(f"{name:<26}" + "".join(f"{value:8.1f}" for value in row) + ("  grew too much" if grown else ""))
    return steady and not errors


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=120)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the stack is stopped then, too
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "state"
        try:
            well = soak(state, arguments.seconds)
        except KeyboardInterrupt:
            raise SystemExit("Interrupted.") from None
        finally:
            local_stack.stop(state)
    raise SystemExit(0 if well else 1)


if __name__ == "__main__":
    main()
