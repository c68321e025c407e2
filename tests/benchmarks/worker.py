"""One process of a benchmark: imports a handler, calls it once, then in batches as stdin asks. CPU time throughout.

    python -S worker.py <module> <event.json>       prints a line of JSON about the start
    stdin: a number of calls                        prints a line of JSON about the batch

The clock starts here, with the interpreter up: in Lambda its start is not ours, and it is the same for all.
"""

import time

started = time.process_time()

import sys  # noqa: E402
from importlib import import_module  # noqa: E402

sys.path.pop(0)  # this folder, where no deployed function would be
handle = import_module(sys.argv[1]).handler
imported = time.process_time()
modules = len(sys.modules)

import json  # noqa: E402
import os  # noqa: E402
from pathlib import Path  # noqa: E402

reports = os.dup(1)  # the handlers' logs go where their reader is not
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
event = json.loads(Path(sys.argv[2]).read_text())


class Context:
    """What Lambda gives, as far as the handlers ask for it."""

    aws_request_id = "11111111-2222-3333-4444-555555555555"
    function_name = "benchmark"
    function_version = "$LATEST"
    memory_limit_in_mb = "512"
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:benchmark"

    def get_remaining_time_in_millis(self) -> int:
        return 28_000


def report(**figures: float) -> None:
    os.write(reports, json.dumps(figures).encode() + b"\n")


def measure(calls: int) -> float:
    """Seconds of CPU for so many calls, each of which must have made a session."""
    context = Context()
    before = time.process_time()
    for _ in range(calls):
        response = handle(event, context)
    after = time.process_time()
    if response["statusCode"] != 200 or len(json.loads(response["body"])["id"]) != 32:
        raise SystemExit(f"{sys.argv[1]} answered {response}")
    return after - before


first = measure(1)
report(ready=imported - started, first=first, modules=modules)
for line in sys.stdin:
    seconds = measure(int(line))
    resident = next(row for row in Path("/proc/self/status").read_text().splitlines() if row.startswith("VmRSS"))
    report(call=seconds / int(line), resident=int(resident.split()[1]) * 1024)
