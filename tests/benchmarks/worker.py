"""One process of a benchmark: imports a handler, calls it once, then in batches as stdin asks. CPU time throughout.

    python -S worker.py <module> <event.json>       prints a line of JSON about the start
    stdin: <what> <a number of calls>               prints a line of JSON about the batch; what, see below

The clock starts here, with the interpreter up: in Lambda its start is not ours, and it is the same for all.
"""

import time

started = time.process_time()

import sys  # noqa: E402

sys.path.pop(0)  # this folder, where no deployed function would be
handle = __import__(sys.argv[1], fromlist=["handler"]).handler  # as a statement does, for -X importtime
imported = time.process_time()
modules = len(sys.modules)

import json  # noqa: E402
import os  # noqa: E402
from functools import partial  # noqa: E402
from pathlib import Path  # noqa: E402
from tempfile import TemporaryFile  # noqa: E402
from typing import Any  # noqa: E402

# The events of botocore's client in a call, in their order: what is counted to each is what follows it.
STEPS = [
    "start",
    "provide-client-params",
    "before-sign",
    "before-send",
    "before-parse",
    "response-received",
    "after-call",
]

reports = os.dup(1)  # the handlers' logs go where their reader is not
nowhere = os.open(os.devnull, os.O_WRONLY)
os.dup2(nowhere, 1)
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


def report(**figures: object) -> None:
    os.write(reports, json.dumps(figures).encode() + b"\n")


def measure(calls: int) -> float:
    """Seconds of CPU for so many calls, each of which must have made or published a session."""
    context = Context()
    before = time.process_time()
    for _ in range(calls):
        response = handle(event, context)
    after = time.process_time()
    if response.get("published") != 1 and len(json.loads(response["body"]).get("id", "")) != 32:
        raise SystemExit(f"{sys.argv[1]} answered {response}")
    return after - before


def find_client() -> Any:  # noqa: ANN401 (botocore's)
    """The handler's client of DynamoDB, wherever it keeps it."""
    return next(sys.modules[name].client for name in ("sessions.store", "session", "bare") if name in sys.modules)


def call(calls: int) -> None:
    """What a call takes, and what memory the process has."""
    seconds = measure(calls) / calls
    resident = next(row for row in Path("/proc/self/status").read_text().splitlines() if row.startswith("VmRSS"))
    report(call=seconds, resident=int(resident.split()[1]) * 1024)


def steps(calls: int) -> None:
    """What a call takes between the events of botocore's client, which it emits as it goes along; and in all."""
    client, seconds = find_client(), dict.fromkeys([*STEPS, "end"], 0.0)
    last, since = "start", 0.0

    def reach(step: str, **_: object) -> None:
        nonlocal last, since
        now = time.process_time()
        seconds[last] += now - since
        last, since = step, now

    for step in STEPS[1:]:
        client.meta.events.register_first(f"{step}.dynamodb", partial(reach, step))
    for _ in range(calls):
        last, since = "start", time.process_time()
        handle(event, Context())
        reach("end")
    report(steps={step: each / calls for step, each in seconds.items()})


def profile(calls: int) -> None:
    """What our code spends in the libraries that it calls, and in all, by cProfile: seconds, as it says.

    It makes a Python function take longer than one in C, so that only shares of similar code mean something.
    """
    from cProfile import Profile  # noqa: PLC0415 (for this alone)
    from pstats import Stats  # noqa: PLC0415

    with Profile() as profiler:
        measure(calls)
    seconds = dict.fromkeys(["parser", "Logger, Metrics", "Pydantic", "botocore", "the rest"], 0.0)
    total = 0.0
    for (file, _line, function), (*_, cumulative, callers) in Stats(profiler).stats.items():  # type: ignore[attr-defined]
        if function == "handler" and "/sessions/" in file:
            total = cumulative
        for (caller, *_name), (*_counts, spent) in callers.items():
            if "/sessions/" in caller and "/sessions/" not in file:
                seconds[find_library(file, function)] += spent
    report(profile={name: each / calls for name, each in (seconds | {"all": total}).items()})


def find_library(file: str, function: str) -> str:
    if "/utilities/parser/" in file:
        return "parser"
    if "/aws_lambda_powertools/" in file:
        return "Logger, Metrics"
    if "/pydantic/" in file or "pydantic_core" in function:
        return "Pydantic"
    return "botocore" if "/botocore/" in file else "the rest"


def look(_: int) -> None:
    """What a call writes to DynamoDB, logs, and replies: the item, and bytes."""
    items = []
    if sys.argv[1] != "sessions.publish_events":
        find_client().meta.events.register_first(
            "before-send.dynamodb.PutItem", lambda request, **_: items.append(json.loads(request.body)["Item"])
        )
    with TemporaryFile() as log:
        os.dup2(log.fileno(), 1)
        response = handle(event, Context())
        sys.stdout.flush()
        logged = os.fstat(log.fileno()).st_size
        os.dup2(nowhere, 1)
    report(items=items, logged=logged, replied=len(str(response.get("body", "")).encode()))


first = measure(1)
report(ready=imported - started, first=first, modules=modules)
for line in sys.stdin:
    what, number = line.split()
    {"call": call, "steps": steps, "profile": profile, "look": look}[what](int(number))
