"""What the benchmark says a million creates cost, reckoned by hand."""

import pytest
from benchmarks.cost import LAMBDA_LINES, Work, measure_access_log, price_create
from conftest import ROOT


def test_the_price_of_a_million_creates_is_that_of_its_parts() -> None:
    template = (ROOT / "template.yaml").read_text()
    logged = 1000 - len(LAMBDA_LINES) - measure_access_log(template)
    # 1 ms of a whole CPU is 3.46 ms of 512 MB's, and 5 ms of waiting; a start takes 0.2 s, once in a hundred requests.
    work = Work(call=0.001, start=0.2, waits=0.005, logged=logged, replied=700, item={"pk": {"S": "x" * 1000}})
    assert price_create(work, template) == pytest.approx(
        {
            "HTTP API": 1.00,
            "Lambda requests": 0.20,
            "Lambda duration, arm64": 0.5 * (0.009 + 0.002) * 1e6 * 0.0000133334,
            "CloudWatch Logs": 0.50,
            "X-Ray": 0.25,
            "DynamoDB writes, on demand": 0.625,
            "data out": 0.09,
        }
    )
    assert price_create(work, template, 16 * 1024)["DynamoDB writes, on demand"] == 10
    assert measure_access_log(template) > 200
