"""What SAM makes of the template, by SAM's own translator: canary deployments, where they are wanted and only there."""

import json
import subprocess
import tomllib
from typing import Any

import pytest
from conftest import ROOT

# Runs in SAM's own environment. It reads the built template, in which CodeUri is a folder that a deploy would upload.
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
# Function by function: the alarms that take a new version back. Not the import: who calls it wants the new one.
ALARMS = {
    "CreateSession": ["BugsAlarm", "ApiFailuresAlarm", "ApiLatencyAlarm", "CreateSessionErrorsAlarm"],
    "GetSession": ["BugsAlarm", "ApiFailuresAlarm", "ApiLatencyAlarm", "GetSessionErrorsAlarm"],
    "PublishEvents": ["PublishEventsErrorsAlarm", "PublishDelayAlarm", "PublishDeadLettersAlarm"],
    "AddClaims": ["AddClaimsErrorsAlarm"],
}
NOT_SHIFTED = {"ImportDirectory"}


def translate(**parameters: str) -> dict[str, dict[str, Any]]:
    """The resources that CloudFormation gets."""
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


def test_by_default_nothing_of_code_deploy_is_made() -> None:
    resources = translate()
    assert not [name for name, each in resources.items() if "CodeDeploy" in f"{name} {each['Type']}"]
    assert not [name for name, each in resources.items() if "UpdatePolicy" in each]


def test_prod_shifts_a_tenth_of_the_calls_first(shifting: dict[str, dict[str, Any]]) -> None:
    groups = {name: each for name, each in shifting.items() if each["Type"] == "AWS::CodeDeploy::DeploymentGroup"}
    functions = {name for name, each in shifting.items() if each["Type"] == "AWS::Lambda::Function"}
    assert functions == {f"{name}Function" for name in ALARMS.keys() | NOT_SHIFTED}
    assert set(groups) == {f"{function}FunctionDeploymentGroup" for function in ALARMS}
    for group in groups.values():
        configuration = group["Properties"]["DeploymentConfigName"]["Fn::Sub"][1]
        assert configuration == {"ConfigName": "Canary10Percent10Minutes"}
    for function in ALARMS:
        policy = shifting[f"{function}FunctionAliaslive"]["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
        assert policy["DeploymentGroupName"] == {"Ref": f"{function}FunctionDeploymentGroup"}


def test_an_alarm_takes_a_new_version_back(shifting: dict[str, dict[str, Any]]) -> None:
    for function, expected in ALARMS.items():
        group = shifting[f"{function}FunctionDeploymentGroup"]["Properties"]
        names = [alarm["Name"]["Ref"] for alarm in group["AlarmConfiguration"]["Alarms"]]
        assert names == expected
        assert all(shifting[name]["Type"] == "AWS::CloudWatch::Alarm" for name in names)
        assert "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"]


def test_without_a_pool_its_trigger_has_no_deployment_group_either(shifting: dict[str, dict[str, Any]]) -> None:
    assert shifting["AddClaimsFunctionDeploymentGroup"]["Condition"] == "HasBundledPool"


def test_prod_is_protected_asks_before_it_changes_anything_and_shifts_calls() -> None:
    settings = tomllib.loads((ROOT / "samconfig.toml").read_text())
    prod = settings["prod"]["deploy"]["parameters"]
    assert prod["confirm_changeset"] is True
    assert {"Stage=prod", "CanaryDeployments=true"} <= set(prod["parameter_overrides"].split())
    for name in ("default", "dev", "local"):
        assert "CanaryDeployments" not in str(settings[name]["deploy"])
        assert "Stage=prod" not in str(settings[name]["deploy"])
