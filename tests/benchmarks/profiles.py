"""Where the time goes: of a start by -X importtime, of calls by the events of botocore's client and by cProfile."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median

from benchmarks.subjects import FLOOR, FLOOR_FULL, FULL, OURS, Subject, Worker

# The packages of a row; a package that is in none is the standard library's.
PACKAGES = {
    "botocore, urllib3, dateutil, jmespath": {"botocore", "urllib3", "dateutil", "jmespath", "six"},
    "boto3, s3transfer": {"boto3", "s3transfer"},
    "Pydantic": {"pydantic", "pydantic_core", "annotated_types", "typing_inspection", "typing_extensions"},
    "Powertools": {"aws_lambda_powertools"},
    "python-mimeparse": {"mimeparse"},
    "our modules, with their models": {"sessions"},
}
CLIENT = "making the client"
CLIENT_MODULES = {"sessions.store", "bare"}  # which do it when they are imported, and nothing else that takes time
STANDARD = "the standard library, whoever asks first"

STEPS = {
    "our code, before, between and after the calls": ("start", "after-call"),
    "botocore: endpoint, parameters as a request": ("provide-client-params",),
    "botocore: signature": ("before-sign",),
    "urllib3 and http.client: to send, to receive": ("before-send",),
    "botocore: the answer, whether to try again": ("before-parse", "response-received"),
}


def measure_imports(rounds: int, folder: Path, port: int) -> dict[str, dict[str, float]]:
    """Seconds of an import by row, medians, of the service and of the floor; and by how much the option slows it."""
    measured = {}
    for subject in (OURS, FLOOR):
        rows: list[Counter[str]] = []
        plain, timed = [], []
        for _ in range(rounds):
            plain.append(start(subject, folder, port))
            timed.append(start(subject._replace(options=("-X", "importtime")), folder, port))
            rows.append(read_imports((folder / "errors").read_text(), subject.module))
        names = sorted(set().union(*rows), key=lambda name: -median(row[name] for row in rows))
        measured[subject.name] = {name: median(row[name] for row in rows) for name in names}
        measured[subject.name]["slower"] = median(timed) / median(plain)
    return measured


def start(subject: Subject, folder: Path, port: int) -> float:
    """Seconds of CPU of an import; what the interpreter says meanwhile is in the folder's file `errors`."""
    with (folder / "errors").open("w") as errors:
        worker = Worker(subject, folder, port, errors)
        worker.stop()
    seconds: float = worker.start["ready"]
    return seconds


def read_imports(report: str, module: str) -> Counter[str]:
    """Seconds by row, of the module and all that it imported: each without what it imported itself."""
    lines = re.findall(r"import time: +(\d+) \| +\d+ \| ( *)(\S+)", report)
    end = next(index for index, (_, _, name) in enumerate(lines) if name == module)
    depth = len(lines[end][1])
    rows: Counter[str] = Counter()
    for microseconds, indent, name in reversed(lines[: end + 1]):  # a module is after those that it imported
        if len(indent) <= depth and name != module:
            break
        rows[find_row(name)] += int(microseconds) / 1e6  # type: ignore[assignment]  # a Counter of seconds
    return rows


def find_row(module: str) -> str:
    if module in CLIENT_MODULES:
        return CLIENT
    package = module.partition(".")[0]
    return next((row for row, packages in PACKAGES.items() if package in packages), STANDARD)


def measure_steps(rounds: int, folder: Path, port: int) -> dict[str, dict[str, float]]:
    """Seconds of a warm call by row, medians; `slower`, by how much the counting slows it."""
    measured = {}
    for subject in (OURS, FLOOR, FULL, FLOOR_FULL):
        worker, counted = Worker(subject, folder, port), Worker(subject, folder, port)
        worker.ask("call", 200)
        counted.ask("steps", 200)
        plain, batches = [], []
        for _ in range(rounds):
            plain.append(worker.ask("call", 100)["call"])
            batches.append(counted.ask("steps", 100)["steps"])
        rows = {row: median(sum(batch[step] for step in steps) for batch in batches) for row, steps in STEPS.items()}
        measured[subject.name] = rows | {"slower": median(sum(batch.values()) for batch in batches) / median(plain)}
        if subject in (OURS, FULL):
            measured[subject.name] |= split_own(worker.ask("profile", 300)["profile"])
        worker.stop()
        counted.stop()
    return measured


def split_own(profile: Mapping[str, float]) -> dict[str, float]:
    """The shares of what is not botocore's, by cProfile."""
    own = profile["all"] - profile["botocore"]
    libraries = {name: profile[name] / own for name in ("parser", "Logger, Metrics", "Pydantic")}
    return libraries | {"our own": 1 - sum(libraries.values())}


def format_imports(measured: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    ours, floor = measured[OURS.name], measured[FLOOR.name]
    total = sum(ours.values()) - ours["slower"]
    yield "| of a start | this service, ms | | bare boto3, ms |"
    yield "|-|-|-|-|"
    for row in [row for row in ours if row != "slower"] + [row for row in floor if row not in ours]:
        one, two = ours.get(row, 0), floor.get(row, 0)
        yield f"| {row} | {one * 1e3:.1f} | {draw_bar(one / total)} | {two * 1e3:.1f} |"
    yield f"| all imports | {total * 1e3:.0f} | | {(sum(floor.values()) - floor['slower']) * 1e3:.0f} |"


def format_steps(measured: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    subjects = [measured[subject.name] for subject in (OURS, FLOOR, FULL, FLOOR_FULL)]
    totals = [sum(subject[row] for row in STEPS) for subject in subjects]
    yield "| of a warm call, µs CPU | this service: plain | | bare: plain | this service: full | bare: full |"
    yield "|-|-|-|-|-|-|"
    for row in STEPS:
        one, *others = (f"{subject[row] * 1e6:.0f}" for subject in subjects)
        yield f"| {row} | {one} | {draw_bar(subjects[0][row] / totals[0])} | " + " | ".join(others) + " |"
        if "our own" in subjects[0] and row == next(iter(STEPS)):
            for part, label in (
                ("parser", "Powertools' parser, with Pydantic's validation"),
                ("Pydantic", "Pydantic: models built and written as JSON"),
                ("Logger, Metrics", "Powertools' Logger and Metrics"),
                ("our own", "our own functions"),
            ):
                plain, full = (f"{subject[row] * subject[part] * 1e6:.0f}" for subject in (subjects[0], subjects[2]))
                yield f"| of which {label} | {plain} | | | {full} | |"
    one, *others = (f"{total * 1e6:.0f}" for total in totals)
    yield f"| all | {one} | | " + " | ".join(others) + " |"


def draw_bar(share: float) -> str:
    """A bar of text, to be seen at a glance."""
    return "█" * round(share * 25) + f" {share:.0%}"
