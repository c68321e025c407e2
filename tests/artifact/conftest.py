"""The template that SAM's translator makes of the built template for CloudFormation."""

import json
import subprocess
from typing import Any

import pytest
from conftest import ROOT

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
        input=(ROOT / ".aws-sam/build/template.yaml").read_text(),
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
