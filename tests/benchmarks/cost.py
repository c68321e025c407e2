"""What a million creates cost: from what the benchmark measured, the prices and the assumptions below.

Change a price or an assumption here, and `make bench` writes the tables anew.
"""

import math
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple


class Price(NamedTuple):
    dollars: float
    unit: str
    page: str
    seen: str
    """When it was last seen, quoted by others: the pages themselves fill their prices in while they are read."""


# US East (N. Virginia), without free tiers, and of the first tier where there are several.
PRICES = {
    "HTTP API": Price(1.00, "million requests of up to 512 KB", "aws.amazon.com/api-gateway/pricing", "May 2025"),
    "Lambda requests": Price(0.20, "million", "aws.amazon.com/lambda/pricing", "May 2026"),
    "Lambda duration, arm64": Price(0.0000133334, "GB-second", "aws.amazon.com/lambda/pricing", "May 2026"),
    "DynamoDB writes, on demand": Price(
        0.625, "million units of 1 KB", "aws.amazon.com/dynamodb/pricing/on-demand", "July 2025"
    ),
    "CloudWatch Logs": Price(0.50, "GB taken in", "aws.amazon.com/cloudwatch/pricing", "May 2025"),
    "X-Ray": Price(5.00, "million traces", "aws.amazon.com/xray/pricing", "undated, on the page"),
    "EventBridge": Price(1.00, "million events of up to 64 KB", "aws.amazon.com/eventbridge/pricing", "June 2026"),
    "SQS": Price(0.40, "million requests of up to 64 KB", "aws.amazon.com/sqs/pricing", "June 2026"),
    "data out": Price(0.09, "GB to the internet", "aws.amazon.com/ec2/pricing/on-demand", "May 2025"),
}

VCPU_MEMORY = 1769  # MB at which a function has one whole CPU; below, its share of one
PUT_MS, EVENTS_MS = 5, 15  # what DynamoDB and EventBridge take to answer, network included: assumed
COLD_SHARE = 0.01  # of the requests start a function: assumed; Amazon names less than 1 % for most
TRACED_SHARE = 0.05  # X-Ray's default sampling, besides one a second
HEADERS_BYTES = 300  # of a reply: assumed

# What Lambda itself logs of a call, and what the gateway fills in (AccessLogSettings of the template), of usual length.
REQUEST_ID = "8f507cfc-0000-4697-b07a-ac58fc914c95"
LAMBDA_LINES = (
    f"START RequestId: {REQUEST_ID} Version: 12\n"
    f"END RequestId: {REQUEST_ID}\n"
    f"REPORT RequestId: {REQUEST_ID}\tDuration: 8.51 ms\tBilled Duration: 9 ms\tMemory Size: 512 MB\t"
    "Max Memory Used: 76 MB\t\n"
)
CONTEXT = {
    "requestId": "JKJaXmPLvHcESHA=",
    "requestTime": "22/Nov/2026:08:00:00 +0000",
    "routeKey": "POST /sessions",
    "status": "200",
    "responseLatency": "12",
    "responseLength": "1012",
    "integration.status": "200",
    "integration.latency": "9",
}

type Item = Mapping[str, Mapping[str, Any]]


class Work(NamedTuple):
    """What a call of a function takes and leaves, as measured: CPU seconds of a warm one and of a start, and bytes."""

    call: float
    start: float
    waits: float = PUT_MS / 1000
    logged: int = 0
    replied: int = 0
    item: Item = MappingProxyType({})


def measure_item(item: Item) -> int:
    """The bytes that DynamoDB counts: names and text in UTF-8, 1 for a boolean, 3 for a list or map, 1 for each entry.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
    """
    return sum(len(name.encode()) + measure_value(value) for name, value in item.items())


def measure_value(value: Mapping[str, Any]) -> int:
    [(kind, content)] = value.items()
    if kind == "S":
        return len(content.encode())
    if kind == "M":
        return 3 + len(content) + measure_item(content)
    if kind == "L":
        return 3 + len(content) + sum(map(measure_value, content))
    if kind in {"BOOL", "NULL"}:
        return 1
    raise ValueError(kind)  # our items have no other


def count_write_units(size: int) -> int:
    """What a put of an item of so many bytes is billed, without indexes and outside of a transaction."""
    return math.ceil(size / 1024)


def price_function(work: Work, memory: int) -> dict[str, float]:
    """Dollars of a million calls of a function, by what is billed."""
    share = min(1, memory / VCPU_MEMORY)
    milliseconds = math.ceil((work.waits + work.call / share) * 1000)
    gb_seconds = memory / 1024 * (milliseconds / 1000 + COLD_SHARE * work.start) * 1e6
    return {
        "Lambda requests": PRICES["Lambda requests"].dollars,
        "Lambda duration, arm64": gb_seconds * PRICES["Lambda duration, arm64"].dollars,
        "CloudWatch Logs": (work.logged + len(LAMBDA_LINES)) / 1e3 * PRICES["CloudWatch Logs"].dollars,
        "X-Ray": TRACED_SHARE * PRICES["X-Ray"].dollars,
    }


def price_create(work: Work, template: str, size: int | None = None) -> dict[str, float]:
    """Dollars of a million creates, up to the reply: as measured, or with an item and a reply of another size."""
    function = price_function(work, read_memory(template))
    replied = size or work.replied
    units = count_write_units(size or measure_item(work.item))
    return {
        "HTTP API": PRICES["HTTP API"].dollars,
        **function,
        "CloudWatch Logs": function["CloudWatch Logs"]
        + measure_access_log(template) / 1e3 * PRICES["CloudWatch Logs"].dollars,
        "DynamoDB writes, on demand": units * PRICES["DynamoDB writes, on demand"].dollars,
        "data out": (replied + HEADERS_BYTES) / 1e3 * PRICES["data out"].dollars,
    }


def price_slower(work: Work, template: str) -> float:
    """What a million creates would cost more, in dollars, on a CPU half as fast."""
    slower = work._replace(call=2 * work.call, start=2 * work.start)
    return sum(price_create(slower, template).values()) - sum(price_create(work, template).values())


def read_memory(template: str) -> int:
    """The megabytes of a function, of the section Globals."""
    return int(re.findall(r"MemorySize: (\d+)", template)[0])


def measure_access_log(template: str) -> int:
    """The bytes of a line of the gateway's access log."""
    form = re.findall(r"Format: >-\n((?: {10}.*\n)+)", template)[0]
    line = " ".join(form.split())
    return len(re.sub(r"\$context\.([A-Za-z.]+)", lambda match: CONTEXT.get(match[1], "-"), line))


def format_creates(works: Mapping[str, Work], publish: Work, template: str) -> Iterator[str]:
    """A table: dollars of a million plain creates, of the service beside its peers, and what its events cost."""
    prices = {name: price_create(work, template) for name, work in works.items()}
    yield "| dollars for a million plain creates | " + " | ".join(prices) + " |"
    yield "|-" * (len(prices) + 1) + "|"
    for row in next(iter(prices.values())):
        yield f"| {row} | " + " | ".join(f"{each[row]:.3f}" for each in prices.values()) + " |"
    yield "| **up to the reply** | " + " | ".join(f"**{sum(each.values()):.3f}**" for each in prices.values()) + " |"
    others = " |" * (len(prices) - 1)
    events = price_function(publish, read_memory(template))
    yield f"| publish_events, called for each session | {sum(events.values()):.3f} |{others}"
    yield f"| EventBridge | {PRICES['EventBridge'].dollars:.3f} |{others}"
    total = sum(next(iter(prices.values())).values()) + sum(events.values()) + PRICES["EventBridge"].dollars
    yield f"| **with the event** | **{total:.3f}** |{others}"
    yield f"| SQS, if the flow is to start | {PRICES['SQS'].dollars:.3f} |{others}"


def format_sizes(work: Work, template: str, sizes: tuple[int, ...] = (1, 4, 16)) -> Iterator[str]:
    """A table: dollars of a million creates with items, and replies, of so many KB."""
    prices = {f"{size} KB": price_create(work, template, size * 1024) for size in sizes}
    yield "| dollars for a million creates, item and reply of | " + " | ".join(prices) + " |"
    yield "|-" * (len(prices) + 1) + "|"
    for row in ("DynamoDB writes, on demand", "data out"):
        yield f"| {row} | " + " | ".join(f"{each[row]:.3f}" for each in prices.values()) + " |"
    yield "| **up to the reply** | " + " | ".join(f"**{sum(each.values()):.3f}**" for each in prices.values()) + " |"


def format_prices() -> Iterator[str]:
    yield "| price | dollars | for a | page | last seen |"
    yield "|-|-|-|-|-|"
    for name, price in PRICES.items():
        yield (
            f"| {name} | {price.dollars:.10f}".rstrip("0").rstrip(".")
            + f" | {price.unit} | {price.page} | {price.seen} |"
        )
