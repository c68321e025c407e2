"""The template that SAM's translator makes for CloudFormation: canary deployments, versions and parameters."""

import json
import re
import tomllib
from typing import Any

from artifact.conftest import translate
from conftest import ROOT

# Function: the alarms that roll its new version back. An import has none: its operator expects the new version.
ALARMS = {
    "Sessions": ["BugsAlarm", "ApiFailuresAlarm", "ApiLatencyAlarm", "SessionsErrorsAlarm"],
    "PublishEvents": ["PublishEventsErrorsAlarm", "PublishDelayAlarm", "PublishDeadLettersAlarm"],
    "AddClaims": ["AddClaimsErrorsAlarm"],
}


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


def test_a_deploy_can_be_repeated_after_a_rollback(shifting: dict[str, dict[str, Any]]) -> None:
    """Lambda publishes no second version of equal code. So the version of a rolled-back update must not stay."""
    versions = [each for each in shifting.values() if each["Type"] == "AWS::Lambda::Version"]
    assert len(versions) == len(ALARMS) + 1
    assert {each["DeletionPolicy"] for each in versions} == {"Delete"}
    assert {each.get("UpdateReplacePolicy", "Delete") for each in versions} == {"Delete"}


# The properties of AWS::Lambda::Version whose change replaces it: CloudFormation then publishes a version.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-lambda-version.html
REPLACING = ("CodeSha256", "Description", "FunctionName", "ProvisionedConcurrencyConfig", "RuntimePolicy")
# Two values of each parameter that a function depends on.
VALUES = {
    "Architecture": ("arm64", "x86_64"),
    "EndpointUrl": ("http://127.0.0.1:4566", "http://127.0.0.1:4567"),
    "Tracing": ("Active", "PassThrough"),
    "SessionRetentionDays": ("0", "30"),
}


def find_parameters(value: object, template: dict[str, Any]) -> set[str]:
    """Return the parameters that a part of a template depends on, also those of its conditions."""
    text = json.dumps(value)
    names = set(re.findall(r'"Ref": "(\w+)"', text)) | set(re.findall(r"\${(\w+)}", text))
    for condition in set(re.findall(r'"Fn::If": \["(\w+)"', text)):
        names |= find_parameters(template["Conditions"][condition], template)
    return names & set(template["Parameters"])


def substitute(value: Any, parameters: dict[str, str]) -> Any:  # noqa: ANN401
    """Return a value of a template with the values of parameters, as CloudFormation substitutes them."""
    match value:
        case {"Ref": name} if name in parameters:
            return parameters[name]
        case {"Fn::Sub": str(text)}:
            return re.sub(r"\${(\w+)}", lambda match: parameters.get(match[1], match[0]), text)
    return value


def find_versions(**parameters: str) -> dict[str, Any]:
    """Return the identity of each function's version. If it changes, CloudFormation publishes another version."""
    versions = {}
    for name, each in translate(**parameters).items():
        if each["Type"] == "AWS::Lambda::Version":
            properties = [substitute(each["Properties"].get(key), parameters) for key in REPLACING]
            versions[each["Properties"]["FunctionName"]["Ref"]] = (name, properties)
    return versions


def test_a_deploy_that_changes_only_a_parameter_publishes_a_version_of_each_function_that_reads_it(
    template: dict[str, Any],
) -> None:
    functions = {name: each for name, each in translate().items() if each["Type"] == "AWS::Lambda::Function"}
    read = {name: find_parameters(each["Properties"], template) for name, each in functions.items()}
    assert all("EndpointUrl" in parameters for parameters in read.values())
    for parameter in set().union(*read.values()):
        before, after = (find_versions(**{parameter: value}) for value in VALUES[parameter])
        for name in functions:
            assert parameter not in read[name] or before[name] != after[name], (parameter, name)


def test_the_parameter_token_minutes_is_the_lifetime_of_access_and_id_tokens() -> None:
    client = translate(TokenMinutes="30")["UserPoolClient"]["Properties"]
    for kind in ("AccessToken", "IdToken"):
        assert substitute(client[f"{kind}Validity"], {"TokenMinutes": "30"}) == "30"
        assert client["TokenValidityUnits"][kind] == "minutes"


def test_no_two_parts_of_the_api_change_at_the_same_time(shifting: dict[str, dict[str, Any]]) -> None:
    """API Gateway refuses concurrent changes of one API. So each part must wait for all earlier ones."""
    parts = {name: json.dumps(each) for name, each in shifting.items() if "ApiId" in each.get("Properties", {})}

    def find_earlier(name: str) -> set[str]:
        direct = {other for other in parts if other != name and re.search(rf"\b{other}\b", parts[name])}
        return direct.union(*map(find_earlier, direct))

    assert len(parts) > 8
    assert sorted(len(find_earlier(name)) for name in parts) == list(range(len(parts)))


def test_a_route_that_a_release_adds_waits_until_the_alias_has_moved(shifting: dict[str, dict[str, Any]]) -> None:
    alias = shifting["SessionsFunctionAliaslive"]
    assert "CodeDeployLambdaAliasUpdate" in alias["UpdatePolicy"]
    assert "SessionsFunctionAliaslive" in shifting["SessionsIntegration"]["DependsOn"]
    target = {"Fn::Sub": "integrations/${SessionsIntegration}"}
    routes = [each["Properties"] for each in shifting.values() if each["Type"] == "AWS::ApiGatewayV2::Route"]
    assert {json.dumps(each["Target"]) for each in routes} == {json.dumps(target)}
