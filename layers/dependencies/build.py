"""Builds the layer: the wheels of requirements.txt without unused files, their bytecode and their SBOM.

    python3.13 -I build.py <folder>

The layer has the shared objects of both architectures, because a build does not know the parameter Architecture. The
names of the files differ, so Python loads the right one. `make docs` writes requirements.txt and the SBOM from uv.lock.
"""

import compileall
import gzip
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from py_compile import PycInvalidationMode
from tempfile import TemporaryDirectory
from typing import Any

HERE = Path(__file__).parent
PLATFORMS = ("manylinux2014_aarch64", "manylinux2014_x86_64")
# The services that the functions call, in botocore's names, and the utilities of Powertools that they import.
SERVICES = {"dynamodb", "events", "sqs"}
UTILITIES = {"jmespath_utils", "parser", "typing"}
# Settings of pip for network and cache, as in the Makefile. Others, such as PIP_PLATFORM, could change the layer.
KEPT = {
    *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX", "PIP_KEYRING_PROVIDER"),
    *("PIP_CONFIG_FILE", "PIP_PROXY", "PIP_TRUSTED_HOST", "PIP_CERT", "PIP_CLIENT_CERT", "PIP_DEFAULT_TIMEOUT"),
    *("PIP_RETRIES", "PIP_CACHE_DIR", "PIP_NO_CACHE_DIR"),
}
UNCHECKED_HASH = (0b01).to_bytes(4, "little")  # PEP 552: Python uses such bytecode without reading the source


def install(platform: str, site: Path) -> None:
    """Install the locked wheels of a platform into a folder."""
    if not importlib.util.find_spec("pip"):
        raise SystemExit(f"sam build needs pip for Python 3.13: {sys.executable} has none.")
    command = [sys.executable, "-I", "-m", "pip", "install", "-qq", "--no-input", "--no-compile", "--no-deps"]
    command += ["--require-hashes", "--only-binary", ":all:", "--requirement", str(HERE / "requirements.txt")]
    command += ["--platform", platform, "--python-version", "3.13", "--implementation", "cp", "--target", str(site)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_") or name in KEPT}
    # pip refuses --target with these two settings, which a configuration file may have.
    environment |= {"PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0"}
    if subprocess.run(command, env=environment, check=False).returncode:
        raise SystemExit("pip could not install the packages of the layer; see the error above.")


def add_shared_objects(other: Path, site: Path) -> None:
    """Add the shared objects of another platform. All other files of these wheels are equal."""
    for path in other.rglob("*.so"):
        shutil.copy2(path, site / path.relative_to(other))


def remove_scripts(site: Path) -> None:
    """Remove the shell commands and their lines in RECORD.

    They contain the path of the interpreter at build time. Without them, equal wheels make an equal layer everywhere.
    """
    shutil.rmtree(site / "bin", ignore_errors=True)
    for record in site.glob("*.dist-info/RECORD"):
        kept = [line for line in record.read_text().splitlines(keepends=True) if not line.startswith("../../bin/")]
        record.write_text("".join(kept))


def slim_powertools(package: Path) -> None:
    """Keep only the utilities that the functions import. The rest is 3.2 MB, of which Swagger UI is 1.7 MB."""
    shutil.rmtree(package / "event_handler")
    for folder in filter(Path.is_dir, (package / "utilities").iterdir()):
        if folder.name not in UTILITIES:
            shutil.rmtree(folder)


def slim_botocore(data: Path) -> None:
    """Keep the data of SERVICES in their latest API version.

    botocore reads all of endpoints.json (1.2 MB) and lists the folder of every service before it makes a client.
    """
    for folder in filter(Path.is_dir, data.iterdir()):
        if folder.name not in SERVICES:
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
        partition["services"] = {name: value for name, value in partition["services"].items() if name in SERVICES}
    (data / "endpoints.json").write_text(json.dumps(endpoints, separators=(",", ":")))


def omit_documentation(content: Any) -> Any:  # noqa: ANN401 (JSON)
    """Return a service model without its documentation. An object of this name is data, and stays."""
    if isinstance(content, list):
        return [omit_documentation(each) for each in content]
    if isinstance(content, dict):
        return {
            name: omit_documentation(value)
            for name, value in content.items()
            if name != "documentation" or not isinstance(value, str)
        }
    return content


def compile_modules(folder: Path) -> None:
    """Compile all modules. Fail if one has no bytecode that Lambda uses.

    SAM's zips date every file 1980, which voids bytecode with a timestamp: Lambda would compile at each cold start.
    """
    mode = PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(
        folder, quiet=1, force=True, workers=0, invalidation_mode=mode, stripdir=str(folder), prependdir="/opt"
    )
    for module in folder.rglob("*.py"):
        bytecode = Path(importlib.util.cache_from_source(str(module)))
        if not bytecode.exists() or bytecode.read_bytes()[4:8] != UNCHECKED_HASH:
            raise SystemExit(f"Lambda would compile {module} at each cold start: its bytecode has no hash.")


def main() -> None:
    artifacts = Path(sys.argv[1])
    site = artifacts / "python"
    with TemporaryDirectory() as other, ThreadPoolExecutor() as pool:
        list(pool.map(install, PLATFORMS, (site, Path(other))))
        add_shared_objects(Path(other), site)
    remove_scripts(site)
    slim_powertools(site / "aws_lambda_powertools")
    slim_botocore(site / "botocore/data")
    compile_modules(artifacts)
    shutil.copy(HERE / "sbom.cdx.json", artifacts)  # for scanners


if __name__ == "__main__":
    main()
