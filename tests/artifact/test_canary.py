"""Canary deployments in the template that SAM's translator makes for CloudFormation."""

import json
import subprocess
import tomllib
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
# Function: the alarms that roll its new version back. An import has none: its operator expects the new version.
ALARMS = {
    "Sessions": ["BugsAlarm", "ApiFailuresAlarm", "ApiLatencyAlarm", "SessionsErrorsAlarm"],
    "PublishEvents": ["PublishEventsErrorsAlarm", "PublishDelayAlarm", "PublishDeadLettersAlarm"],
    "AddClaims": ["AddClaimsErrorsAlarm"],
}


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


@pytest.fixture(scope="module")
def shifting() -> dict[str, dict[str, Any]]:
    return translate(CanaryDeployments="true")


def test_a_stack_without_canary_deployments_has_nothing_of_codedeploy() -> None:
    resources = translate()
    assert not [name for name, each in resources.items() if "CodeDeploy" in f"{name} {each['Type']}"]
    assert not [name for name, each in resources.items() if "UpdatePolicy" in each]


def test_every_function_but_the_import_sends_ten_percent_of_calls_to_a_new_version(
    shifting: dict[str, dict[str, Any]],
) -> None:
    groups = {name: each for name, each in shifting.items() if each["Type"] == "AWS::CodeDeploy::DeploymentGroup"}
    assert set(groups) == {f"{function}FunctionDeploymentGroup" for function in ALARMS}
    functions = {name for name, each in shifting.items() if each["Type"] == "AWS::Lambda::Function"}
    assert functions == {f"{function}Function" for function in (*ALARMS, "ImportDirectory")}
    for name, group in groups.items():
        configuration = group["Properties"]["DeploymentConfigName"]["Fn::Sub"][1]
        assert configuration == {"ConfigName": "Canary10Percent10Minutes"}
        policy = shifting[name.replace("DeploymentGroup", "Aliaslive")]["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
        assert policy["DeploymentGroupName"] == {"Ref": name}
    assert groups["AddClaimsFunctionDeploymentGroup"]["Condition"] == "HasBundledPool"


def test_an_alarm_rolls_a_new_version_back(shifting: dict[str, dict[str, Any]]) -> None:
    for function, expected in ALARMS.items():
        group = shifting[f"{function}FunctionDeploymentGroup"]["Properties"]
        assert [alarm["Name"]["Ref"] for alarm in group["AlarmConfiguration"]["Alarms"]] == expected
        assert "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"]


def test_a_deploy_to_prod_asks_first_protects_data_and_is_a_canary() -> None:
    settings = tomllib.loads((ROOT / "samconfig.toml").read_text())
    prod = settings["prod"]["deploy"]["parameters"]
    assert prod["confirm_changeset"] is True
    assert {"Stage=prod", "CanaryDeployments=true"} <= set(prod["parameter_overrides"].split())
    for name in ("default", "dev", "local"):
        assert "CanaryDeployments" not in str(settings[name]["deploy"])
        assert "Stage=prod" not in str(settings[name]["deploy"])


def find_references(value: Any) -> set[str]:  # noqa: ANN401
    """Return the names that a part of a template refers to with Ref."""
    if isinstance(value, list):
        return set().union(*map(find_references, value))
    if isinstance(value, dict):
        return {value["Ref"]} if "Ref" in value else find_references(list(value.values()))
    return set()


def test_a_deploy_that_changes_only_a_parameter_publishes_a_version(template: dict[str, Any]) -> None:
    """CloudFormation replaces a version whose description changes. It substitutes the parameters, not SAM."""
    resources = translate()
    for version in [each for each in resources.values() if each["Type"] == "AWS::Lambda::Version"]:
        properties = version["Properties"]
        function = resources[properties["FunctionName"]["Ref"]]["Properties"]
        parameters = find_references(function) & set(template["Parameters"])
        assert {"EndpointUrl"} <= parameters, properties
        for name in parameters:
            descriptions = {
                properties["Description"]["Fn::Sub"].replace(f"${{{name}}}", value) for value in ("one", "two")
            }
            assert len(descriptions) == 2, name
