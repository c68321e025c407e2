"""`make bench`: the built artifact beside what people would write instead, on this machine, in one run.

Every figure is CPU time, from fresh processes that take turns, so that what else the machine does meets all alike; the
ratios are medians of the ratios within each turn. DynamoDB is a stub that answers at once (stub.py).
"""

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import distributions
from pathlib import Path
from statistics import median
from typing import NamedTuple

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
BUILD = ROOT / ".aws-sam/local"
PEERS = ROOT / ".aws-sam/peers"


class Subject(NamedTuple):
    """What is measured: a handler's module, where its packages are, and the options of its interpreter."""

    name: str
    module: str
    path: list[Path]
    event: str = "plain"
    options: tuple[str, ...] = ()


OURS_PATH = [BUILD / "CreateSessionFunction", BUILD / "DependenciesLayer/python"]
NO_BYTECODE = ("-X", f"pycache_prefix={os.devnull}")  # as `sam build` ships it: there is some, and none is valid
FLOOR = Subject("bare boto3 (the floor)", "bare", [PEERS])
OURS = Subject("this service", "sessions.create_session", OURS_PATH)
FULL = OURS._replace(name="this service: customer, team, five members", event="full")
RESOLVER = Subject("Powertools resolver", "resolver", [PEERS])
RESOLVER_SHIPPED = RESOLVER._replace(name="Powertools resolver, as sam build ships it", options=NO_BYTECODE)
FASTAPI = Subject("FastAPI + Mangum", "fastapi_app", [PEERS])
FASTAPI_SHIPPED = FASTAPI._replace(name="FastAPI + Mangum, as sam build ships it", options=NO_BYTECODE)
STARTS = [FLOOR, OURS, RESOLVER, FASTAPI, RESOLVER_SHIPPED, FASTAPI_SHIPPED]
CALLS = [FLOOR, OURS, FULL, RESOLVER, FASTAPI]
FULL_BODY = {
    "displayName": "Order 1042",
    "customerId": "paris",
    "withAddress": "team:support",
    "memberEmailAddresses": [f"member-{index}@example.com" for index in range(5)],
    "startSession": True,
}


class Worker:
    """A process of worker.py that has started and made its first call."""

    def __init__(self, subject: Subject, folder: Path, port: int) -> None:
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(map(str, subject.path)),
            "AWS_ACCESS_KEY_ID": "benchmark",
            "AWS_SECRET_ACCESS_KEY": "benchmark",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "POWERTOOLS_METRICS_NAMESPACE": "sessions",
            "SESSIONS_TABLE": "sessions",
            "DIRECTORY_TABLE": "directory",
            "POWERTOOLS_SERVICE_NAME": "sessions",
        }
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-S", "-B", *subject.options),
                *(str(HERE / "worker.py"), subject.module, str(folder / f"{subject.event}.json")),
            ],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.start = self.read()

    def read(self) -> dict[str, float]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.process.args!r} ended")
        figures: dict[str, float] = json.loads(line)
        return figures

    def call(self, times: int) -> dict[str, float]:
        assert self.process.stdin
        self.process.stdin.write(f"{times}\n")
        self.process.stdin.flush()
        return self.read()

    def stop(self) -> None:
        self.process.communicate()


@contextmanager
def serve() -> Iterator[int]:
    """The port of a stub of DynamoDB."""
    arguments = [sys.executable, "-S", str(HERE / "stub.py")]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as stub:
        assert stub.stdin
        assert stub.stdout
        yield int(stub.stdout.readline())
        stub.stdin.close()


def write_events(folder: Path) -> None:
    plain = json.loads((ROOT / "events/create-session.json").read_text())
    (folder / "plain.json").write_text(json.dumps(plain))
    (folder / "full.json").write_text(json.dumps(plain | {"body": json.dumps(FULL_BODY)}))


def measure_starts(rounds: int, folder: Path, port: int) -> dict[str, list[float]]:
    """Seconds to be ready and to have made the first call, by subject, turn by turn."""
    seconds: dict[str, list[float]] = {subject.name: [] for subject in STARTS}
    for _ in range(rounds):
        for subject in STARTS:
            worker = Worker(subject, folder, port)
            worker.stop()
            seconds[subject.name].append(worker.start["ready"] + worker.start["first"])
    return seconds


def measure_calls(rounds: int, folder: Path, port: int) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Seconds for a warm call, by subject, turn by turn; and the bytes of memory after all of them."""
    seconds: dict[str, list[float]] = {subject.name: [] for subject in CALLS}
    with ExitStack() as stack:
        workers = {subject.name: Worker(subject, folder, port) for subject in CALLS}
        for worker in workers.values():
            stack.callback(worker.stop)
            worker.call(200)
        for _ in range(rounds):
            for name, worker in workers.items():
                seconds[name].append(worker.call(100)["call"])
        resident = {name: worker.call(max(1, 1000 - 100 * rounds))["resident"] for name, worker in workers.items()}
    return seconds, resident


def compare(seconds: dict[str, list[float]], subject: Subject, other: Subject) -> float:
    """How much more the one takes than the other: the median of the ratios within a turn."""
    return median(one / two for one, two in zip(seconds[subject.name], seconds[other.name], strict=True))


def measure_size(folder: Path) -> tuple[float, float]:
    """Megabytes of function and layer: as zips, as SAM makes them, and as files."""
    zipped = unzipped = 0
    for index, root in enumerate((BUILD / "CreateSessionFunction", BUILD / "DependenciesLayer")):
        with zipfile.ZipFile(folder / f"{index}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(path for path in root.rglob("*") if path.is_file()):
                archive.write(file, file.relative_to(root))
                unzipped += file.stat().st_size
        zipped += (folder / f"{index}.zip").stat().st_size
    return zipped / 1e6, unzipped / 1e6


def format_targets(
    starts: dict[str, list[float]], calls: dict[str, list[float]], memory: float, sizes: tuple[float, float]
) -> Iterator[str]:
    """The issue's table: each figure with its target, and whether it is met."""
    rows = [
        ("start and first call, of the floor", compare(starts, OURS, FLOOR), 1.20, "times"),
        ("start and first call, of the resolver as shipped", compare(starts, OURS, RESOLVER_SHIPPED), 0.35, "times"),
        ("a warm plain create, of the floor", compare(calls, OURS, FLOOR), 0.95, "times"),
        ("a warm create with customer, team, five members, of the floor", compare(calls, FULL, FLOOR), 2.0, "times"),
        ("layer and function, zipped", sizes[0], 9, "MB"),
        ("layer and function, unzipped", sizes[1], 25, "MB"),
        ("resident set after 1,000 calls", memory / 1e6, 128, "MB"),
    ]
    yield "| figure | measured | target | met |"
    yield "|-|-|-|-|"
    for name, value, target, unit in rows:
        yield f"| {name} | {value:.2f} {unit} | at most {target:g} {unit} | {'yes' if value <= target else 'no'} |"


def format_subjects(
    starts: dict[str, list[float]], calls: dict[str, list[float]], resident: dict[str, float]
) -> Iterator[str]:
    yield "| | start and first call, ms CPU | a warm call, µs CPU | memory, MB |"
    yield "|-|-|-|-|"
    for name in dict.fromkeys([*starts, *calls]):
        start = f"{median(starts[name]) * 1e3:.0f}" if name in starts else ""
        call = f"{median(calls[name]) * 1e6:.0f}" if name in calls else ""
        memory = f"{resident[name] / 1e6:.0f}" if name in resident else ""
        yield f"| {name} | {start} | {call} | {memory} |"


def draw(starts: dict[str, list[float]], calls: dict[str, list[float]]) -> Iterator[str]:
    """An SVG: a bar for each subject, start-up above and warm calls below."""
    height = 30 * (len(starts) + len(calls)) + 90
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="760" height="{height}" viewBox="0 0 760 {height}" '
        'font-family="sans-serif" font-size="13" role="img" aria-label="CPU time of starts and of warm calls">'
    )
    yield f'<rect width="760" height="{height}" fill="white"/>'
    y = 25
    charts = (("Start and first call, ms CPU: shorter is better", starts, 1e3), ("A warm call, µs CPU", calls, 1e6))
    for title, seconds, scale in charts:
        yield f'<text x="10" y="{y}" font-weight="bold">{title}</text>'
        y += 10
        longest = max(map(median, seconds.values()))
        for name, values in seconds.items():
            width = 380 * median(values) / longest
            colour = "#0b7a4b" if name.startswith("this service") else "#b8c0c8"
            yield f'<text x="300" y="{y + 16}" text-anchor="end">{name}</text>'
            yield f'<rect x="310" y="{y}" width="{width:.0f}" height="22" fill="{colour}"/>'
            yield f'<text x="{316 + width:.0f}" y="{y + 16}">{median(values) * scale:.0f}</text>'
            y += 30
        y += 25
    yield "</svg>"


def describe_machine() -> str:
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.partition(": ")[2] for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = names[0] if names else model
    return f"{model}, {os.cpu_count()} CPUs, {platform.machine()}, CPython {platform.python_version()}"


def find_versions(path: Path, names: set[str]) -> str:
    found = {each.name.lower().replace("_", "-"): each.version for each in distributions(path=[str(path)])}
    return ", ".join(f"{name} {found[name]}" for name in sorted(names & found.keys()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--write", type=Path, help="the folder for benchmarks.md and benchmarks.svg")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, serve() as port:
        folder = Path(temporary)
        write_events(folder)
        starts = measure_starts(arguments.rounds, folder, port)
        calls, resident = measure_calls(arguments.rounds, folder, port)
        sizes = measure_size(folder)
    targets = "\n".join(format_targets(starts, calls, resident[OURS.name], sizes))
    subjects = "\n".join(format_subjects(starts, calls, resident))
    print(f"{targets}\n\n{subjects}")
    if arguments.write:
        names = {"aws-lambda-powertools", "boto3", "botocore", "fastapi", "mangum", "pydantic"}
        text = (HERE / "benchmarks.md.in").read_text().format(
            date=datetime.datetime.now(datetime.UTC).date(),
            machine=describe_machine(),
            rounds=arguments.rounds,
            ours=find_versions(OURS_PATH[1], names),
            peers=find_versions(PEERS, names),
            targets=targets,
            subjects=subjects,
        )  # fmt: skip
        (arguments.write / "benchmarks.md").write_text(text)
        (arguments.write / "benchmarks.svg").write_text("\n".join(draw(starts, calls)) + "\n")


if __name__ == "__main__":
    main()
