"""Takes out of the layer what no function needs: scripts, botocore's data of other services and what it says for
people, and the viewer of OpenAPI documents that comes with Powertools.

    python slim.py <site> <service>...

botocore reads all of endpoints.json (1.2 MB) and lists the folder of every service before it makes a client. Without
the rules of a service's endpoints it looks there once for a client, where the rules are gone through for each call.
"""

import gzip
import json
import shutil
import sys
from pathlib import Path
from typing import Any


def remove_scripts(site: Path) -> None:
    """Commands for a shell. They name the interpreter that they were installed with, and so do their hashes in RECORD:
    without these, equal wheels make an equal layer wherever it is built.
    """
    shutil.rmtree(site / "bin", ignore_errors=True)
    for record in site.glob("*.dist-info/RECORD"):
        kept = [line for line in record.read_text().splitlines(keepends=True) if not line.startswith("bin/")]
        record.write_text("".join(kept))


def slim(data: Path, services: set[str]) -> None:
    """Keep what botocore's documented loader reads for the latest API version of these services."""
    for folder in filter(Path.is_dir, data.iterdir()):
        if folder.name not in services:
            shutil.rmtree(folder)
            continue
        *older, latest = sorted(folder.iterdir())
        for version in older:
            shutil.rmtree(version)
        (latest / "examples-1.json").unlink(missing_ok=True)
        if folder.name == "dynamodb":
            (latest / "endpoint-rule-set-1.json.gz").unlink()
        for packed in latest.glob("*.json.gz"):  # the layer is a zip: twice compressed is read slower, and no smaller
            content = omit_documentation(json.loads(gzip.decompress(packed.read_bytes())))
            packed.with_suffix("").write_text(json.dumps(content, separators=(",", ":")))
            packed.unlink()
    endpoints = json.loads((data / "endpoints.json").read_text())
    for partition in endpoints["partitions"]:
        partition["services"] = {name: value for name, value in partition["services"].items() if name in services}
    (data / "endpoints.json").write_text(json.dumps(endpoints, separators=(",", ":")))


def omit_documentation(content: Any) -> Any:  # noqa: ANN401 (JSON)
    """The same without the sentences of a model. A member of a shape may have that name too, which is an object."""
    if isinstance(content, list):
        return [omit_documentation(each) for each in content]
    if isinstance(content, dict):
        return {
            name: omit_documentation(value)
            for name, value in content.items()
            if name != "documentation" or not isinstance(value, str)
        }
    return content


if __name__ == "__main__":
    site = Path(sys.argv[1])
    remove_scripts(site)
    slim(site / "botocore/data", set(sys.argv[2:]))
    for name in ("swagger-ui-bundle.min.js", "swagger-ui.min.css"):
        (site / "aws_lambda_powertools/event_handler/openapi/swagger_ui" / name).unlink()
