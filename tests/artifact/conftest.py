"""The two builds, which `make test` makes first, and the template that SAM's translator makes from one of them."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

BUILD = ROOT / ".aws-sam/build"  # deployed to AWS
LOCAL = ROOT / ".aws-sam/local"  # runs on this machine
# Function: its packages.
FUNCTIONS = {
    "SessionsFunction": ("sessions", "aws"),
    "PublishEventsFunction": ("sessions", "aws"),
    "AddClaimsFunction": ("directory", "aws"),
    "ImportDirectoryFunction": ("directory", "aws"),
}


def list_modules(function: str) -> list[Path]:
    """Return the modules of a function, relative to the folder functions/."""
    sources = ROOT / "functions"
    return [path.relative_to(sources) for package in FUNCTIONS[function] for path in (sources / package).glob("*.py")]


def is_current(build: Path) -> bool:
    """Return whether a build is complete, and contains the present code of the functions."""
    pairs = [
        (ROOT / "functions" / path, build / function / path)
        for function in FUNCTIONS
        for path in list_modules(function)
    ]
    return (build / "DependenciesLayer/sbom.cdx.json").exists() and all(
        built.exists() and built.read_bytes() == source.read_bytes() for source, built in pairs
    )


@pytest.fixture(scope="session", autouse=True)
def builds() -> None:
    for build in (BUILD, LOCAL):
        if not is_current(build):
            reason = f"{build.relative_to(ROOT)} is missing, incomplete or older than the sources"
            pytest.exit(f"{reason}: run `make build build-local`.", returncode=1)


# Runs in SAM's own environment. A deploy would upload the folders of the built template's CodeUri.
TRANSLATE = """
import json, sys
import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse
template = yaml_parse(sys.stdin.read())
for resource in template["Resources"].values():
    for name in {"CodeUri", "ContentUri"} & set(resource["Properties"]):
        resource["Properties"][name] = "s3://bucket/key"
translator = Translator({}, Parser(), boto_session=boto3.Session(region_name="us-east-1"))
json.dump(translator.translate(template, json.loads(sys.argv[1])), sys.stdout)
"""


def translate(**parameters: str) -> dict[str, dict[str, Any]]:
    """Return the resources that CloudFormation gets."""
    python = ROOT / "tools/sam/.venv/bin/python"
    run = subprocess.run(
        [python, "-c", TRANSLATE, json.dumps(parameters)],
        input=(BUILD / "template.yaml").read_text(),
        capture_output=True,
        text=True,
        check=True,
    )
    resources: dict[str, dict[str, Any]] = json.loads(run.stdout)["Resources"]
    return resources


@pytest.fixture(scope="session")
def shifting() -> dict[str, dict[str, Any]]:
    """The resources with canary deployments: every type that a stack may have."""
    return translate(CanaryDeployments="true")
