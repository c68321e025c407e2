"""The files from which SAM builds the layer without uv: the locked packages with their hashes, and an SBOM."""

import json
import os
import subprocess

from docs.schemas import ROOT


def export(*options: str) -> str:
    """Return the packages of uv.lock that the layer ships, in a format of `uv export`."""
    installed = next((str(path) for path in ROOT.glob(".tools/uv-*/bin/uv")), "uv")
    command = [os.environ.get("UV", installed), "export", "--quiet", "--no-config", "--frozen", "--no-dev"]
    command += ["--no-emit-project", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def make_requirements() -> str:
    """Return the requirements file of the layer."""
    return "# `make docs` writes this file from uv.lock.\n" + export("--no-header")


def make_sbom() -> str:
    """Return the list of the layer's packages for scanners (CycloneDX).

    The serial number and the date differ in each export, and the version of uv on each machine. They are removed: equal
    wheels must make an equal layer, or each deploy would publish every function again.
    """
    sbom = json.loads(export("--format", "cyclonedx1.5", "--preview-features", "sbom-export"))
    del sbom["serialNumber"], sbom["metadata"]["timestamp"], sbom["metadata"]["tools"]
    return json.dumps(sbom, indent=2) + "\n"
