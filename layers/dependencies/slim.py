"""Removes unused files from the layer: scripts, botocore's data of other services, documentation, Swagger UI.

    python slim.py <site> <service>...

botocore reads all of endpoints.json (1.2 MB) and lists the folder of every service before it makes a client.
"""

import gzip
import json
import shutil
import sys
from pathlib import Path
from typing import Any


def remove_scripts(site: Path) -> None:
    """Remove the shell commands and their lines in RECORD.

    They contain the path of the interpreter at build time. Without them, equal wheels make an equal layer everywhere.
    """
    shutil.rmtree(site / "bin", ignore_errors=True)
    for record in site.glob("*.dist-info/RECORD"):
        kept = [line for line in record.read_text().splitlines(keepends=True) if not line.startswith("bin/")]
        record.write_text("".join(kept))


def slim(data: Path, services: set[str]) -> None:
    """Keep the data of these services in their latest API version."""
    for folder in filter(Path.is_dir, data.iterdir()):
        if folder.name not in services:
            shutil.rmtree(folder)
            continue
        *older, latest = sorted(folder.iterdir())
        for version in older:
            shutil.rmtree(version)
        (latest / "examples-1.json").unlink(missing_ok=True)
        for packed in latest.glob("*.json.gz"):  # the layer is a zip: compressing twice saves no space
            content = omit_documentation(json.loads(gzip.decompress(packed.read_bytes())))
            packed.with_suffix("").write_text(json.dumps(content, separators=(",", ":")))
            packed.unlink()
    endpoints = json.loads((data / "endpoints.json").read_text())
    for partition in endpoints["partitions"]:
        partition["services"] = {name: value for name, value in partition["services"].items() if name in services}
    (data / "endpoints.json").write_text(json.dumps(endpoints, separators=(",", ":")))


def omit_documentation(content: Any) -> Any:  # noqa: ANN401 (JSON)
    """Return a service model without its documentation. A shape may have a member of that name, too: an object."""
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
