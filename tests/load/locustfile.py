"""Load a local stack with creates and reads. Fail on any error, and if the memory of a worker keeps growing.

The latencies are those of the emulator, not of AWS.
"""

import json
import os
import secrets
from pathlib import Path
from typing import Any

import gevent
import psutil
from locust import FastHttpUser, events, task
from locust.env import Environment

URL = os.environ["SESSIONS_URL"]
HEADERS = {"Authorization": f"Bearer {os.environ['SESSIONS_TOKEN']}"}
REFERENCES = {"withAddress": "team:support", "customerId": "northwind-paris", "fromPhoneNumber": "+15550100001"}
# In two minutes a worker answers about 800 requests. It grows by 1 MB; a leak of 5 KB a request adds 3 MB.
GROWTH_MAX = 3


class Client(FastHttpUser):
    host = URL
    default_headers = HEADERS
    network_timeout = 300  # the emulator starts a worker for each client, which takes seconds

    @task
    def create_and_read(self) -> None:
        created = self.create("create", {"channel": "Voice"})
        self.create("create with references", REFERENCES)
        key = secrets.token_hex(16)
        keyed = self.create("create with a key", REFERENCES, key)
        replayed = self.create("replay", REFERENCES, key)
        read = self.client.get(f"/{created.get('id')}", name="read").json()
        if (replayed, read) != (keyed, created):
            raise ValueError("A reply differs from the first reply of its session.")

    def create(self, name: str, body: dict[str, Any], key: str = "") -> dict[str, Any]:
        headers = {"Idempotency-Key": key} if key else {}
        with self.client.post("", json=body, headers=headers, name=name, catch_response=True) as reply:
            if ("Idempotent-Replayed" in reply.headers) != (name == "replay"):
                reply.failure("Idempotent-Replayed is wrong")
            session: dict[str, Any] = reply.json()
            return session


@events.test_start.add_listener
def watch_memory(environment: Environment, **_: object) -> None:
    """Compare the memory of the workers at the end with their memory after a quarter of the run."""
    emulator = psutil.Process(json.loads(Path(os.environ["EMULATOR_LOCK"]).read_text())["pid"])
    workers: list[tuple[psutil.Process, int]] = []

    def measure() -> None:
        workers.extend((worker, worker.memory_info().rss) for worker in emulator.children(recursive=True))

    def compare(**_: object) -> None:
        growth = max((worker.memory_info().rss - before) / 1e6 for worker, before in workers)
        print(f"{len(workers)} workers; the largest growth of one is {growth:.1f} MB.")
        if growth > GROWTH_MAX:
            environment.process_exit_code = 1

    gevent.spawn_later(environment.parsed_options.run_time / 4, measure)
    events.quitting.add_listener(compare)
