"""One process of the benchmark: import a handler, call it once, then call it as often as stdin says.

    python -S worker.py <module>
    stdin:   the event as a line of JSON, then lines with a number of calls
    stdout:  a line of JSON about the start, then one about each batch

All times are CPU seconds. The clock starts here, because the start of the interpreter is the same for all handlers.
"""

import time

started = time.process_time()

import sys  # noqa: E402

sys.path.pop(0)  # a deployed function does not have this folder
handle = __import__(sys.argv[1], fromlist=["handler"]).handler
imported = time.process_time()

import json  # noqa: E402
import os  # noqa: E402
from pathlib import Path  # noqa: E402
from tempfile import TemporaryFile  # noqa: E402

reports = os.dup(1)  # stdout is for the handler's log from here on
null = os.open(os.devnull, os.O_WRONLY)
os.dup2(null, 1)
event = json.loads(sys.stdin.readline())


class Context:
    """The part of Lambda's context that the handlers read."""

    aws_request_id = "11111111-2222-3333-4444-555555555555"
    function_name = "benchmark"
    function_version = "$LATEST"
    memory_limit_in_mb = "512"
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:benchmark"

    def get_remaining_time_in_millis(self) -> int:
        return 20_000


def report(**figures: float) -> None:
    os.write(reports, json.dumps(figures).encode() + b"\n")


def call(count: int) -> tuple[float, str]:
    """Return the CPU seconds of this many calls, and the body of the last reply, which must be a session."""
    context = Context()
    before = time.process_time()
    for _ in range(count):
        response = handle(event, context)
    seconds = time.process_time() - before
    if len(json.loads(response["body"]).get("id", "")) != 32:
        raise SystemExit(f"{sys.argv[1]} answered {response}")
    return seconds, response["body"]


def count_logged_bytes() -> int:
    """Return the bytes that one call logs. The first call logs more: it counts a cold start."""
    sys.stdout.flush()
    with TemporaryFile() as log:
        os.dup2(log.fileno(), 1)
        call(1)
        sys.stdout.flush()
        os.dup2(null, 1)
        return os.fstat(log.fileno()).st_size


def read_resident_bytes() -> int:
    [row] = [row for row in Path("/proc/self/status").read_text().splitlines() if row.startswith("VmRSS")]
    return int(row.split()[1]) * 1024


first, body = call(1)
report(start=imported - started + first, logged=count_logged_bytes(), replied=len(body.encode()))
for line in sys.stdin:
    report(call=call(int(line))[0] / int(line), resident=read_resident_bytes())
