"""`make bench`: the built artifact beside what people would write instead, on this machine, in one run.

Every figure is CPU time, from fresh processes that take turns, so that what else the machine does meets all alike; the
ratios are medians of the ratios within each turn. DynamoDB is a stub that answers at once (stub.py).
"""

import argparse
import datetime
import os
import platform
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.metadata import distributions
from pathlib import Path
from statistics import median

from benchmarks.cost import (
    COLD_SHARE,
    EVENTS_MS,
    PUT_MS,
    TRACED_SHARE,
    Work,
    format_creates,
    format_prices,
    format_sizes,
    measure_item,
    price_slower,
)
from benchmarks.profiles import format_imports, format_steps, measure_imports, measure_steps
from benchmarks.subjects import (
    BUILD,
    FASTAPI,
    FASTAPI_SHIPPED,
    FLOOR,
    FLOOR_FULL,
    FULL,
    HERE,
    LAYER,
    OURS,
    PEERS,
    PUBLISH,
    RESOLVER,
    RESOLVER_SHIPPED,
    ROOT,
    Subject,
    Worker,
    pack,
    serve,
    write_events,
)

STARTS = [FLOOR, OURS, RESOLVER, FASTAPI, RESOLVER_SHIPPED, FASTAPI_SHIPPED]
CALLS = [FLOOR, OURS, FLOOR_FULL, FULL, RESOLVER, FASTAPI]


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
            worker.ask("call", 200)
        for _ in range(rounds):
            for name, worker in workers.items():
                seconds[name].append(worker.ask("call", 100)["call"])
        resident = {
            name: worker.ask("call", max(1, 1000 - 100 * rounds))["resident"] for name, worker in workers.items()
        }
    return seconds, resident


def measure_work(
    seconds: dict[str, list[float]], starts: dict[str, list[float]], folder: Path, port: int
) -> dict[str, Work]:
    """What the bill depends on, by subject: of peers, with their start as `sam build` ships them."""
    works = {}
    for subject, shipped in ((OURS, OURS), (FLOOR, FLOOR), (RESOLVER, RESOLVER_SHIPPED), (FASTAPI, FASTAPI_SHIPPED)):
        worker = Worker(subject, folder, port)
        seen = worker.ask("look")
        worker.stop()
        call, start = median(seconds[subject.name]), median(starts[shipped.name])
        works[subject.name] = Work(call, start, logged=seen["logged"], replied=seen["replied"], item=seen["items"][0])
    return works


def measure_publish(rounds: int, folder: Path, port: int) -> Work:
    """The same of the function that announces a session, called for one."""
    worker = Worker(PUBLISH, folder, port)
    worker.ask("call", 200)
    call = median(worker.ask("call", 100)["call"] for _ in range(rounds))
    logged = worker.ask("look")["logged"]
    worker.stop()
    return Work(call, worker.start["ready"] + worker.start["first"], EVENTS_MS / 1000, logged)


def compare(seconds: dict[str, list[float]], subject: Subject, other: Subject) -> float:
    """How much more the one takes than the other: the median of the ratios within a turn."""
    return median(one / two for one, two in zip(seconds[subject.name], seconds[other.name], strict=True))


def measure_size(folder: Path) -> tuple[float, float]:
    """Megabytes of function and layer: as zips, as SAM makes them, and as files."""
    archives, unzipped = pack(BUILD, folder)
    return sum(archive.stat().st_size for archive in archives) / 1e6, unzipped / 1e6


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
        folder, rounds = Path(temporary), arguments.rounds
        write_events(folder)
        starts = measure_starts(rounds, folder, port)
        calls, resident = measure_calls(rounds, folder, port)
        sizes = measure_size(folder)
        imports = measure_imports(rounds, folder, port)
        steps = measure_steps(rounds, folder, port)
        works = measure_work(calls, starts, folder, port)
        publish = measure_publish(rounds, folder, port)
    template = (ROOT / "template.yaml").read_text()
    tables = {
        "targets": format_targets(starts, calls, resident[OURS.name], sizes),
        "subjects": format_subjects(starts, calls, resident),
        "imports": format_imports(imports),
        "steps": format_steps(steps),
        "creates": format_creates(works, publish, template),
        "sizes": format_sizes(works[OURS.name], template),
    }
    text = {name: "\n".join(table) for name, table in tables.items()}
    print("\n\n".join(text.values()))
    if arguments.write:
        names = {"aws-lambda-powertools", "boto3", "botocore", "fastapi", "mangum", "pydantic"}
        page = (HERE / "benchmarks.md.in").read_text().format(
            **text,
            prices="\n".join(format_prices()),
            date=datetime.datetime.now(datetime.UTC).date(),
            machine=describe_machine(),
            rounds=rounds,
            ours=find_versions(LAYER, names),
            peers=find_versions(PEERS, names),
            slower_import=f"{imports[OURS.name]['slower']:.2f}",
            slower_call=f"{steps[OURS.name]['slower']:.2f}",
            item=measure_item(works[OURS.name].item),
            logged=works[OURS.name].logged,
            replied=works[OURS.name].replied,
            put_ms=PUT_MS,
            events_ms=EVENTS_MS,
            cold_share=f"{COLD_SHARE:.0%}",
            traced_share=f"{TRACED_SHARE:.0%}",
            slower=f"{price_slower(works[OURS.name], template):.2f}",
        )  # fmt: skip
        (arguments.write / "benchmarks.md").write_text(page)
        (arguments.write / "benchmarks.svg").write_text("\n".join(draw(starts, calls)) + "\n")


if __name__ == "__main__":
    main()
