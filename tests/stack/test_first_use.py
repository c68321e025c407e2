"""Deploys and operations with the commands of the documents and the workflows, against the emulator.

The commands run in a copy of the project. Its `samconfig.toml` has this machine's architecture and the emulator's
address as parameters of `dev`.
"""

import base64
import json
import os
import re
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
import urllib3
import yaml
from conftest import ROOT
from markdown import read_code_blocks
from stack.conftest import Stack, run_bash

from local_stack.deployment import ARCHITECTURE

NOT_IN_A_CLONE = (
    ".git",
    ".aws-sam",
    ".local",
    ".tools",
    ".venv",
    "node_modules",
    "__pycache__",
    ".*_cache",
    ".hypothesis",
)
TOOLS = (".tools", ".venv", "tools/sam/.venv")
ACCOUNT = "000000000000"

type Run = Callable[..., str]
type Assume = Callable[[str, str], dict[str, str]]


def read_commands(document: str, section: str, language: str = "sh") -> list[str]:
    """Return the code blocks of a section in a language."""
    blocks = read_code_blocks(ROOT / document, section)
    commands = [block.content for block in blocks if block.language == language]
    assert commands, f"{document} has no such blocks"
    return commands


def stored_builds(stack: Stack) -> set[str]:
    """Return the names of the zips in SAM's bucket: each is the hash of its content."""
    (managed,) = stack.client("cloudformation").describe_stacks(StackName="aws-sam-cli-managed-default")["Stacks"]
    (bucket,) = (each["OutputValue"] for each in managed["Outputs"] if each["OutputKey"] == "SourceBucket")
    keys = {each["Key"] for each in stack.client("s3").list_objects_v2(Bucket=bucket)["Contents"]}
    return {key for key in keys if not key.endswith(".template")}


def physical_ids(stack: Stack) -> dict[str, str]:
    """Return the physical ids of all resources of sessions-dev, by logical id."""
    pages = stack.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName="sessions-dev")
    resources = [resource for page in pages for resource in page["StackResourceSummaries"]]
    return {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in resources}


def versions(stack: Stack) -> dict[str, tuple[list[str], str]]:
    """Return all versions of each function of sessions-dev, and the version of its alias."""
    functions = stack.client("lambda")
    return {
        name: (
            [version["Version"] for version in functions.list_versions_by_function(FunctionName=physical)["Versions"]],
            functions.get_alias(FunctionName=physical, Name="live")["FunctionVersion"],
        )
        for name, physical in physical_ids(stack).items()
        if name.endswith("Function")
    }


@pytest.fixture(scope="module")
def clone(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with the installed tools of the original."""
    folder = tmp_path_factory.mktemp("clone") / "sessions (2)"
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*NOT_IN_A_CLONE))
    for tools in TOOLS:
        (folder / tools).symlink_to(ROOT / tools)
    settings = (folder / "samconfig.toml").read_text()
    head, dev, tail = settings.partition("[dev.deploy.parameters]")
    local = f"Stage=dev Architecture={ARCHITECTURE} EndpointUrl={stack.endpoint}"
    assert '"Stage=dev' in tail
    (folder / "samconfig.toml").write_text(head + dev + tail.replace('"Stage=dev', f'"{local}', 1))
    return folder


@pytest.fixture(scope="module")
def run(stack: Stack, clone: Path) -> Run:
    """A function that runs commands in the clone, as GitHub's `shell: bash` does, and returns their output."""
    (clone.parent / "tmp").mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | {
        "AWS_ENDPOINT_URL": stack.endpoint,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "PATH": f"{ROOT / '.venv/bin'}:{os.environ['PATH']}",  # the AWS CLI
        "SAM_CLI_POLL_DELAY": "0.1",
        "TMPDIR": str(clone.parent / "tmp"),  # sam leaves its zips there
        "NO_PROXY": "127.0.0.1,.localhost",
    }

    def run(commands: str, **variables: str) -> str:
        return run_bash(commands, clone, environment | variables, 180, "--noprofile", "--norc", "-euo", "pipefail")

    return run


@pytest.fixture(scope="module")
def first_use(stack: Stack, run: Run) -> dict[str, Any]:
    """The output of the first deploy's commands: all of it, the session, the token; and the zips that they uploaded."""
    before = stored_builds(stack)
    password = {"PASSWORD": f"Aa1-{secrets.token_hex(12)}"}
    printed = run("\n".join(read_commands("docs/operations.md", "First deploy, step by step")), **password)
    token = run("make -s token USER=ada@example.com CONFIG=dev", **password).strip()
    assert password["PASSWORD"] not in printed
    session = printed.splitlines()[-1]
    return {"printed": printed, "session": session, "token": token, "new": stored_builds(stack) - before}


def test_the_commands_of_the_first_deploy_create_a_session(stack: Stack, first_use: dict[str, Any]) -> None:
    session = json.loads(first_use["session"])
    assert (session["createdBy"], session["channel"], session["toAddress"]) == ("ada", "Voice", "+15557654321")
    assert '{"accounts": 2, "put": 25, "deleted": 0}' in first_use["printed"]
    assert " ms  receive its event" in first_use["printed"]
    key = {"pk": f"{session['accountId']}#{session['id']}"}
    table = boto3.resource("dynamodb", endpoint_url=stack.endpoint).Table(physical_ids(stack)["SessionsTable"])
    assert table.get_item(Key=key)["Item"]["toAddress"] == "+15557654321"


def test_a_build_in_another_folder_has_the_same_content(first_use: dict[str, Any]) -> None:
    assert first_use["new"] == set()


def test_a_second_deploy_changes_nothing(stack: Stack, run: Run, first_use: dict[str, Any]) -> None:  # noqa: ARG001
    before = physical_ids(stack), versions(stack), stored_builds(stack)
    assert "No changes to deploy. Stack sessions-dev is up to date" in run("make deploy")
    assert (physical_ids(stack), versions(stack), stored_builds(stack)) == before


def test_lost_sessions_can_be_copied_back_from_a_restored_table(
    stack: Stack, run: Run, first_use: dict[str, Any]
) -> None:
    restore, put_back, *_ = read_commands("docs/operations.md", "Backups and restore")
    session = json.loads(first_use["session"])
    dynamodb, table = stack.client("dynamodb"), physical_ids(stack)["SessionsTable"]
    lost = dynamodb.get_item(TableName=table, Key={"pk": {"S": f"acme#{session['id']}"}})["Item"]
    other = lost | {"pk": {"S": f"acme#{'0' * 32}"}, "id": {"S": "0" * 32}}
    dynamodb.put_item(TableName=table, Item=other)
    run(restore.replace("CONFIG=prod", "CONFIG=dev"))
    changed = other | {"toAddress": {"S": "changed after the backup"}}
    dynamodb.put_item(TableName=table, Item=changed)
    dynamodb.delete_item(TableName=table, Key={"pk": lost["pk"]})
    assert "1 of 2 sessions were missing, and are restored." in run(put_back, CONFIG="dev")
    items = dynamodb.scan(TableName=table, ConsistentRead=True)["Items"]
    assert sorted(items, key=str) == sorted([lost, changed], key=str)
    assert "sessions-restored" not in dynamodb.list_tables()["TableNames"]
    reply = urllib3.request(
        "GET",
        f"{stack.endpoint}/_aws/execute-api/{physical_ids(stack)['Api']}/$default/sessions/{session['id']}",
        headers={"Authorization": f"Bearer {first_use['token']}"},
    )
    assert reply.data.decode() == first_use["session"]


def test_the_documented_commands_protect_a_stack(stack: Stack, run: Run, first_use: dict[str, Any]) -> None:  # noqa: ARG001
    protect, _ = read_commands("docs/operations.md", "Deploying")
    run(protect.replace("sessions-prod", "sessions-dev"))
    cloudformation = stack.client("cloudformation")
    policy = cloudformation.get_stack_policy(StackName="sessions-dev")["StackPolicyBody"]
    assert json.loads(policy) == json.loads((ROOT / "docs/stack-policy.json").read_text())
    with pytest.raises(cloudformation.exceptions.ClientError, match="TerminationProtection"):
        cloudformation.delete_stack(StackName="sessions-dev")


@pytest.fixture
def assume(stack: Stack, clone: Path, run: Run) -> Assume:
    """A function that returns credentials of a role of docs/github-roles.yaml for the tokens of an environment."""
    template = clone / "docs/github-roles.yaml"
    # The emulator checks PutTargets and RemoveTargets of the smoke test on the bus. AWS checks them on the rule.
    content = template.read_text().replace("rule/sessions-${Stage}/smoke-*", "*")
    template.write_text(content.replace("sessions-${Stage}", "sessions-dev"))
    _, deploy = read_commands("docs/operations.md", "Deploying")
    provider = f"ProviderArn=arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"
    printed = run(
        deploy.replace('"Stage=$STAGE"', f'"Stage=$STAGE" {provider}')
        .replace("OWNER_ID", "1")
        .replace("REPOSITORY_ID", "2")
    )
    arns = dict(re.findall(r"environment (\S+)\t(\S+)", printed))
    # The emulator has no HTTPS, which the policy of SAM's bucket requires.
    (bucket,) = (each["Name"] for each in stack.client("s3").list_buckets()["Buckets"] if "sam-cli" in each["Name"])
    stack.client("s3").delete_bucket_policy(Bucket=bucket)

    def assume(role: str, environment: str) -> dict[str, str]:
        claims = {
            "iss": "https://token.actions.githubusercontent.com",
            "aud": "sts.amazonaws.com",
            "sub": f"repo:OWNER@1/REPOSITORY@2:environment:{environment}",
        }
        token = b".".join(base64.urlsafe_b64encode(json.dumps(each).encode()) for each in ({}, claims, {}))
        given = stack.client("sts").assume_role_with_web_identity(
            RoleArn=arns[role], RoleSessionName="github", WebIdentityToken=token.decode()
        )["Credentials"]
        return {
            "AWS_ACCESS_KEY_ID": given["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": given["SecretAccessKey"],
            "AWS_SESSION_TOKEN": given["SessionToken"],
        }

    return assume


def test_the_workflow_prod_shows_a_changeset_and_executes_it_after_approval(
    stack: Stack,
    clone: Path,
    run: Run,
    first_use: dict[str, Any],  # noqa: ARG001
    assume: Assume,
) -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/prod.yml").read_text())["jobs"]
    show, execute = (
        "\n".join(step["run"] for step in jobs[job]["steps"] if "run" in step) for job in ("changeset", "deploy")
    )
    settings = clone / "samconfig.toml"
    settings.write_text(settings.read_text().replace('"Stage=dev', '"Stage=dev LogRetentionDays=7'))

    def retention() -> int:
        name = physical_ids(stack)["SessionsLogGroup"]
        groups = stack.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        days: int = groups[0]["retentionInDays"]
        return days

    output, summary = clone.parent / "output", clone.parent / "summary"
    with pytest.raises(stack.client("sts").exceptions.ClientError, match="Not authorized"):
        assume("prod", "prod-changeset")  # a token of this environment needs no approval
    changeset_role = assume("prod-changeset", "prod-changeset")
    run(show, CONFIG="dev", GITHUB_OUTPUT=str(output), GITHUB_STEP_SUMMARY=str(summary), **changeset_role)
    name, _, changeset = output.read_text().strip().partition("=")
    assert name == "arn"
    assert f":{ACCOUNT}:changeSet/" in changeset
    assert re.search(r"Modify +SessionsLogGroup ", summary.read_text())
    assert retention() == 30
    with pytest.raises(AssertionError, match=r"not authorized to perform: cloudformation:ExecuteChangeSet"):
        run(execute, CHANGESET=changeset, CONFIG="dev", STACK="sessions-dev", **changeset_role)
    printed = run(execute, CHANGESET=changeset, CONFIG="dev", STACK="sessions-dev", **assume("prod", "prod"))
    assert " ms  receive its event" in printed
    assert retention() == 7


def test_a_domain_of_its_own_becomes_the_url_of_the_api(
    stack: Stack,
    clone: Path,
    run: Run,
    first_use: dict[str, Any],  # noqa: ARG001
) -> None:
    domain = "sessions.example.com"
    zone = stack.client("route53").create_hosted_zone(Name="example.com", CallerReference="1")["HostedZone"]["Id"]
    certificate = stack.client("acm").request_certificate(DomainName=domain)["CertificateArn"]
    settings = clone / "samconfig.toml"
    own = f"DomainName={domain} CertificateArn={certificate} HostedZoneId={zone.removeprefix('/hostedzone/')}"
    settings.write_text(settings.read_text().replace('"Stage=dev', f'"Stage=dev {own}'))
    run("make deploy")
    (deployed,) = stack.client("cloudformation").describe_stacks(StackName="sessions-dev")["Stacks"]
    outputs = {each["OutputKey"]: each["OutputValue"] for each in deployed["Outputs"]}
    gateway = stack.client("apigatewayv2")
    api = gateway.get_api(ApiId=outputs["ApiId"])
    assert (outputs["ApiUrl"], api["DisableExecuteApiEndpoint"]) == (f"https://{domain}", True)
    (mapping,) = gateway.get_api_mappings(DomainName=domain)["Items"]
    assert (mapping["ApiId"], mapping["Stage"]) == (outputs["ApiId"], "$default")
    (configuration,) = gateway.get_domain_name(DomainName=domain)["DomainNameConfigurations"]
    assert (configuration["CertificateArn"], configuration["SecurityPolicy"]) == (certificate, "TLS_1_2")
    records = stack.client("route53").list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    (record,) = (each for each in records if each["Type"] == "A")
    assert record["AliasTarget"]["DNSName"].rstrip(".") == outputs["DomainTarget"]


def test_the_documented_commands_delete_a_stack_and_then_its_data(
    stack: Stack,
    run: Run,
    first_use: dict[str, Any],  # noqa: ARG001
) -> None:
    names, unprotect, delete_stack, delete_data = read_commands("docs/operations.md", "Teardown")
    dynamodb, cognito, sqs = stack.client("dynamodb"), stack.client("cognito-idp"), stack.client("sqs")
    ids = physical_ids(stack)
    tables = [ids["SessionsTable"], ids["DirectoryTable"]]
    queues = [ids[name] for name in ("FlowStartQueue", "FlowStartDeadLetters", "PublishDeadLetters")]
    pool = ids["UserPool"]
    for table in tables:
        dynamodb.update_table(TableName=table, DeletionProtectionEnabled=True)
    cognito.update_user_pool(UserPoolId=pool, DeletionProtection="ACTIVE")

    def count_existing() -> tuple[int, int, int]:
        pools = [each["Id"] for each in cognito.list_user_pools(MaxResults=60)["UserPools"]]
        urls = sqs.list_queues(QueueNamePrefix="sessions-dev-").get("QueueUrls", [])
        return len({*tables} & {*dynamodb.list_tables()["TableNames"]}), len(urls), pools.count(pool)

    noted = run(names + delete_stack).split()
    assert {*tables, *queues, pool} <= {*noted}
    assert count_existing() == (2, 3, 1)
    (group,) = cognito.list_groups(UserPoolId=pool)["Groups"]
    (client,) = cognito.list_user_pool_clients(UserPoolId=pool, MaxResults=60)["UserPoolClients"]
    assert (group["GroupName"], client["ClientId"]) == ("User", ids["UserPoolClient"])
    # Version 1 of the AWS CLI ignores AWS_ENDPOINT_URL for SQS.
    delete_data = delete_data.replace("aws sqs", f"aws --endpoint-url {stack.endpoint} sqs")
    run(unprotect + delete_data, TABLES=" ".join(tables), QUEUES=" ".join(queues), POOLS=pool)
    assert count_existing() == (0, 0, 0)
