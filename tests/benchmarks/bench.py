"""`make bench`: compare the built service with three other ways to write it, on this machine, in one run.

Each round runs every subject once, so that other load on the machine slows all of them. A target's figure is the median
of the ratios within a round. All times are CPU time. DynamoDB is a stub that answers at once (stub.py).
"""

import argparse
import datetime
import math
import os
import platform
import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.metadata import distributions
from pathlib import Path
from statistics import median

from benchmarks.subjects import (
    BASELINE,
    BASELINE_FULL,
    BUILD,
    FASTAPI,
    FASTAPI_SHIPPED,
    HERE,
    LAYER,
    PEERS,
    RESOLVER,
    RESOLVER_SHIPPED,
    ROOT,
    SERVICE,
    SERVICE_FULL,
    Subject,
    Worker,
    pack,
    serve,
)

STARTS = [BASELINE, SERVICE, RESOLVER, FASTAPI, RESOLVER_SHIPPED, FASTAPI_SHIPPED]
CALLS = [BASELINE, SERVICE, BASELINE_FULL, SERVICE_FULL, RESOLVER, FASTAPI]
PACKAGES = {"aws-lambda-powertools", "boto3", "botocore", "fastapi", "mangum", "pydantic"}

# Assumptions of the cost.
CPU_MEMORY = 1769  # MB at which Lambda gives a function one whole CPU
DYNAMODB_MS = 5
COLD_SHARE = 0.01  # share of requests that start a function; AWS says under 1 % for most functions
LAMBDA_LOG = 257  # bytes of Lambda's START, END and REPORT lines
ACCESS_LOG = 266  # bytes of a line of the gateway's access log (AccessLogSettings in the template)
REPLY_HEADERS = 300  # bytes

# Subject name to one value a round.
type Series = dict[str, list[float]]


def measure_starts(rounds: int, port: int) -> tuple[Series, dict[str, float]]:
    """Return the CPU seconds of each start with its first call, and the sizes of the service's log and reply."""
    seconds: Series = {subject.name: [] for subject in STARTS}
    sizes = {}
    for _ in range(rounds):
        for subject in STARTS:
            worker = Worker(subject, port)
            worker.stop()
            seconds[subject.name].append(worker.start["start"])
            if subject is SERVICE:
                sizes = worker.start
    return seconds, sizes


def measure_calls(rounds: int, port: int) -> tuple[Series, dict[str, float]]:
    """Return the CPU seconds of a warm call, and the bytes of memory after at least 1,000 calls."""
    seconds: Series = {subject.name: [] for subject in CALLS}
    with ExitStack() as stack:
        workers = {subject.name: Worker(subject, port) for subject in CALLS}
        for worker in workers.values():
            stack.callback(worker.stop)
            worker.call(200)
        for _ in range(rounds):
            for name, worker in workers.items():
                seconds[name].append(worker.call(100)["call"])
        memory = {name: worker.call(max(1, 800 - 100 * rounds))["resident"] for name, worker in workers.items()}
    return seconds, memory


def compare(seconds: Series, subject: Subject, other: Subject) -> float:
    """Return the median of the ratios within a round."""
    return median(one / two for one, two in zip(seconds[subject.name], seconds[other.name], strict=True))


def format_targets(starts: Series, calls: Series, memory: float, zipped: float, unzipped: float) -> Iterator[str]:
    rows = [
        ("start and first call, of bare boto3", compare(starts, SERVICE, BASELINE), 1.25, "times"),
        ("start and first call, of Powertools as shipped", compare(starts, SERVICE, RESOLVER_SHIPPED), 0.25, "times"),
        ("warm plain create, of bare boto3", compare(calls, SERVICE, BASELINE), 1.00, "times"),
        ("warm full create, of bare boto3", compare(calls, SERVICE_FULL, BASELINE_FULL), 0.95, "times"),
        ("function and layer, zipped", zipped / 1e6, 9, "MB"),
        ("function and layer, unzipped", unzipped / 1e6, 25, "MB"),
        ("memory after 1,000 calls", memory / 1e6, 128, "MB"),
    ]
    yield "| figure | measured | target | met |"
    yield "|-|-|-|-|"
    for name, value, target, unit in rows:
        yield f"| {name} | {value:.2f} {unit} | at most {target:.2f} | {'yes' if value <= target else '**no**'} |"


def format_subjects(starts: Series, calls: Series, memory: dict[str, float]) -> Iterator[str]:
    yield "| | start and first call, ms | warm call, µs | memory, MB |"
    yield "|-|-|-|-|"
    for name in dict.fromkeys([*starts, *calls]):
        start = f"{median(starts[name]) * 1e3:.0f}" if name in starts else ""
        call = f"{median(calls[name]) * 1e6:.0f}" if name in calls else ""
        resident = f"{memory[name] / 1e6:.0f}" if name in memory else ""
        yield f"| {name} | {start} | {call} | {resident} |"


def format_cost(start: float, call: float, logged: float, replied: float) -> Iterator[str]:
    """Format the cost of a million plain creates, by the formula in docs/benchmarks.md."""
    memory = int(re.findall(r"MemorySize: (\d+)", (ROOT / "template.yaml").read_text())[0])
    milliseconds = math.ceil(DYNAMODB_MS + call * 1e3 * max(1, CPU_MEMORY / memory))
    gb_seconds = memory / 1024 * (milliseconds / 1e3 + COLD_SHARE * start)
    log_mb = (logged + LAMBDA_LOG + ACCESS_LOG) / 1e6
    out_mb = (replied + REPLY_HEADERS) / 1e6
    rows = [  # what is billed, amount of one create, its unit, dollars for a million units, page
        ("HTTP API", 1, "request", 1.00, "api-gateway/pricing"),
        ("Lambda requests", 1, "request", 0.20, "lambda/pricing"),
        ("Lambda duration, arm64", gb_seconds, "GB-second", 13.3334, "lambda/pricing"),
        ("DynamoDB, on demand", 1, "write unit", 0.625, "dynamodb/pricing/on-demand"),
        ("CloudWatch Logs", log_mb, "MB", 500, "cloudwatch/pricing"),
        ("data out", out_mb, "MB", 90, "ec2/pricing/on-demand"),
        ("EventBridge", 1, "event", 1.00, "eventbridge/pricing"),
    ]
    yield "| | amount of one create | dollars for a million units | dollars for a million creates | page |"
    yield "|-|-|-|-|-|"
    for name, amount, unit, price, page in rows:
        yield f"| {name} | {amount:.3g} {unit} | {price:g} | {amount * price:.3f} | aws.amazon.com/{page} |"
    yield f"| **all** | | | **{sum(amount * price for _, amount, _, price, _ in rows):.2f}** | |"


def find_versions(path: Path) -> str:
    found = {each.name.lower().replace("_", "-"): each.version for each in distributions(path=[str(path)])}
    return ", ".join(f"{name} {found[name]}" for name in sorted(PACKAGES & found.keys()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--write", type=Path, help="the folder for benchmarks.md")
    arguments = parser.parse_args()
    with serve() as port:
        starts, sizes = measure_starts(arguments.rounds, port)
        calls, memory = measure_calls(arguments.rounds, port)
    with tempfile.TemporaryDirectory() as folder:
        archives, unzipped = pack(BUILD, Path(folder))
        zipped = sum(archive.stat().st_size for archive in archives)
    start, call = median(starts[SERVICE.name]), median(calls[SERVICE.name])
    tables = {
        "targets": format_targets(starts, calls, memory[SERVICE.name], zipped, unzipped),
        "subjects": format_subjects(starts, calls, memory),
        "cost": format_cost(start, call, sizes["logged"], sizes["replied"]),
    }
    text = {name: "\n".join(table) for name, table in tables.items()}
    print("\n\n".join(text.values()))
    if arguments.write:
        page = (HERE / "benchmarks.md.in").read_text().format(
            **text,
            date=datetime.datetime.now(datetime.UTC).date(),
            machine=f"{platform.machine()}, {os.cpu_count()} CPUs, CPython {platform.python_version()}",
            rounds=arguments.rounds,
            service=find_versions(LAYER),
            peers=find_versions(PEERS),
            start=f"{start * 1e3:.0f}",
            call=f"{call * 1e3:.2f}",
            logged=f"{sizes['logged']:.0f}",
            replied=f"{sizes['replied']:.0f}",
        )  # fmt: skip
        (arguments.write / "benchmarks.md").write_text(page)


if __name__ == "__main__":
    main()
