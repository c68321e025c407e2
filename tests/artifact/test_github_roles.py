"""The roles of docs/github-roles.yaml, compared with AWS's data in cfn-lint: resource schemas, and ARNs of actions.

CloudFormation's schema of a resource type names the permissions with which its handlers create, read, update and
delete a resource. `make test` compares them again after each update of cfn-lint.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT, TemplateLoader

type Statement = dict[str, Any]

# The permissions of these schemas are for properties and operations that no stack of this service uses.
UNUSED = {
    "keys, networks and file systems of the operator": r"kms:.*|ec2:.*|elasticfilesystem:.*|s3files:.*",
    "mutual TLS, Kinesis, Firehose, import from S3": r"s3:(?!GetObject$).*|kinesis:.*|firehose:.*",
    "deletion of resources that outlive the stack": r"dynamodb:DeleteTable|sqs:DeleteQueue|"
    r"cognito-idp:Delete(UserPool|UserPoolClient|Group)",
    "items of a table": r"dynamodb:(Scan|Query|(Get|Put|Update|Delete|BatchWrite)Item)",
    "import, replicas, policies, contributor insights, Kinesis": r"dynamodb:(ImportTable|DescribeImport|"
    r"(Create|Associate)TableReplica|(Put|Delete)ResourcePolicy|UpdateContributorInsights|"
    r"(Enable|Disable|Update)KinesisStreamingDestination)|logs:(CreateLogStream|DescribeLogStreams|PutLogEvents)",
    "concurrency, code signing, pinned runtimes, recursion": r"lambda:(Put\w+|GetCodeSigningConfig|"
    r"Delete(FunctionConcurrency|ProvisionedConcurrencyConfig|FunctionCodeSigningConfig)|PassCapacityProvider|"
    r"AssociateRuntimeAlias)",
    "KMS, data protection, index policies, bearer tokens": r"logs:((Disa|A)ssociateKmsKey|(Put|Delete)"
    r"(DataProtectionPolicy|IndexPolicy)|DeleteResourcePolicy|PutLogGroupDeletionProtection|PutBearerTokenAuthentication)",
    "custom attributes, policies of a bus, servers outside AWS": r"cognito-idp:AddCustomAttributes|"
    r"events:(Put|Remove)Permission|codedeploy:RegisterOnPremisesInstance",
    "permissions boundaries; the first deploy by hand creates linked roles": r"iam:(Put|Delete)RolePermissionsBoundary|"
    r"iam:CreateServiceLinkedRole",
}
# API Gateway's guide names these for an access log. https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging.html
ACCESS_LOG = {
    *(f"logs:{verb}LogDelivery" for verb in ("Create", "Delete", "Get", "Update")),
    *("logs:ListLogDeliveries", "logs:PutResourcePolicy"),
}
LISTS = {"cloudwatch:DescribeAlarms", "logs:DescribeLogGroups"}  # AWS checks them against every ARN


def find_data() -> Path:
    """Return the folder of cfn-lint's data, in SAM's own environment."""
    (folder,) = (ROOT / "tools/sam/.venv/lib").glob("python*/site-packages/cfnlint/data")
    return folder


def read_schema(kind: str) -> dict[str, Any]:
    schemas = find_data() / "schemas"
    names = json.loads((schemas / "providers/us-east-1.json").read_text())
    schema: dict[str, Any] = json.loads((schemas / f"resources/{names[kind]}.json").read_text())
    return schema


@pytest.fixture(scope="module")
def roles() -> dict[str, Any]:
    content = yaml.load((ROOT / "docs/github-roles.yaml").read_text(), TemplateLoader)  # noqa: S506 (a SafeLoader)
    return dict(content["Resources"])


def read_statements(policy: dict[str, Any]) -> list[Statement]:
    """Return the statements of a policy with lists of actions and ARNs. Conditions of the template count as true."""
    statements = []
    for each in policy["Properties"]["PolicyDocument"]["Statement"]:
        statement = each["Fn::If"][1] if "Fn::If" in each else each
        action, resource = (
            each if isinstance(each, list) else [each] for each in (statement["Action"], statement["Resource"])
        )
        arns = [each if isinstance(each, str) else each["Fn::Sub"] for each in resource]
        statements.append(statement | {"Action": action, "Resource": arns})
    return statements


def test_the_role_may_do_what_cloudformation_needs_for_each_type_and_nothing_else(
    roles: dict[str, Any], shifting: dict[str, dict[str, Any]]
) -> None:
    needed = set()
    for kind in {each["Type"] for each in shifting.values()}:
        handlers = read_schema(kind)["handlers"]
        needed |= {action for name in handlers if name != "list" for action in handlers[name]["permissions"]}
    for reason, pattern in UNUSED.items():
        unused = {action for action in needed if re.fullmatch(pattern, action)}
        assert unused, reason
        needed -= unused
    granted = [action for each in read_statements(roles["DeployPolicy"]) for action in each["Action"]]
    assert set(granted) == needed | ACCESS_LOG


def test_each_action_has_an_arn_that_it_accepts(roles: dict[str, Any]) -> None:
    """AWS refuses an action that accepts no ARN unless the resource is `*`."""
    services = json.loads((find_data() / "AdditionalSpecs/Policies.json").read_text())
    for name in ("ChangesetPolicy", "ExecutePolicy", "SmokePolicy", "DeployPolicy"):
        for statement in read_statements(roles[name]):
            for action in statement["Action"]:
                service, _, verb = action.partition(":")
                if service == "apigateway":
                    continue  # its ARNs are paths, such as /apis/*
                known, actions = services[service]["Resources"], services[service]["Actions"]
                types = actions[verb.lower()].get("Resources", [])
                if action in LISTS or not types:
                    assert statement["Resource"] == ["*"], action
                    continue
                formats = [form for each in types for form in known[each.lower()]["ARNFormats"]]
                patterns = [re.sub(r"\$\{\w+\}", "[^:]*", form) for form in formats]
                arns = [re.sub(r"\$\{\w+(::\w+)?\}", "x", arn) for arn in statement["Resource"]]
                assert any(re.fullmatch(pattern, arn) for pattern in patterns for arn in arns), action


def test_a_role_trusts_one_environment_of_one_repository(roles: dict[str, Any]) -> None:
    trusted = {}
    for name, each in roles.items():
        if each["Type"] == "AWS::IAM::Role":
            (statement,) = each["Properties"]["AssumeRolePolicyDocument"]["Statement"]
            assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
            claims = {key.rpartition(":")[2]: value for key, value in statement["Condition"]["StringEquals"].items()}
            assert claims.pop("aud") == "sts.amazonaws.com"
            trusted[name] = claims
    assert trusted == {
        f"{name}Role": {"sub": {"Fn::Sub": f"repo:${{Repository}}:environment:{environment}"}}
        for name, environment in (("Dev", "dev"), ("ProdChangeset", "prod-changeset"), ("Prod", "prod"))
    }


def test_a_deploying_role_can_change_neither_itself_nor_another_stack(roles: dict[str, Any]) -> None:
    for statement in read_statements(roles["DeployPolicy"]):
        for arn in statement["Resource"]:
            named = any(service in arn for service in (":iam:", ":sqs:", ":dynamodb:", ":function:", ":logs:"))
            assert not named or "sessions-${Stage}-*" in arn, arn
        if "iam:PassRole" in statement["Action"]:
            passed = statement["Condition"]["StringEquals"]["iam:PassedToService"]
            assert passed == ["codedeploy.amazonaws.com", "lambda.amazonaws.com"]
        if "iam:AttachRolePolicy" in statement["Action"]:
            assert set(statement["Condition"]["ArnEquals"]) == {"iam:PolicyARN"}


def test_the_policies_fit_into_one_role(roles: dict[str, Any]) -> None:
    """IAM counts the characters of all inline policies of a role, without white space."""
    policies = [each["Properties"]["PolicyDocument"] for each in roles.values() if each["Type"] == "AWS::IAM::Policy"]
    assert len(re.sub(r"\$\{AWS::\w+\}", "x" * 14, json.dumps(policies, separators=(",", ":")))) < 10_240
