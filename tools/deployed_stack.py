"""A deployed stack: its outputs, its directory, its users and its events, on AWS or on the emulator."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import boto3
from botocore.config import Config

type Outputs = dict[str, str]


class RefusedError(Exception):
    """The stack refused an operation. The message is for the operator."""


def describe_stack(name: str) -> Any:  # noqa: ANN401
    """Return CloudFormation's description of a stack."""
    return boto3.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]


def read_outputs(name: str) -> Outputs:
    """Return the outputs of a stack."""
    return {output["OutputKey"]: output["OutputValue"] for output in describe_stack(name)["Outputs"]}


def sessions_url(outputs: Outputs) -> str:
    """Return the URL of POST /sessions. The URL on an emulator contains `$default`, so a shell needs single quotes."""
    if endpoint := os.environ.get("AWS_ENDPOINT_URL"):  # not every machine resolves the names below localhost
        return f"{endpoint}/_aws/execute-api/{outputs['ApiId']}/$default/sessions"
    return f"{outputs['ApiUrl']}/sessions"


def import_document(outputs: Outputs, document: bytes) -> dict[str, int]:
    """Import a directory document with the deployed function; return the numbers that it reports."""
    try:
        json.loads(document.decode())
    except (ValueError, RecursionError) as error:
        raise RefusedError(f"The document is not JSON in UTF-8, and nothing was written: {error}") from None
    # An import takes up to 15 minutes, and a retry would start a second one.
    config = Config(read_timeout=900, tcp_keepalive=True, retries={"total_max_attempts": 1})
    function = outputs["ImportDirectoryFunctionName"]
    reply = boto3.client("lambda", config=config).invoke(FunctionName=function, Qualifier="live", Payload=document)
    answer = json.load(reply["Payload"])
    if "FunctionError" in reply:
        raise RefusedError(f"The import failed, and can be repeated: {answer.get('errorMessage')}")
    if "errors" in answer:
        errors = "".join(f"\n{error['path'] or 'document'}: {error['message']}" for error in answer["errors"])
        raise RefusedError(f"The document is invalid, and nothing was written:{errors}")
    return dict(answer)


def find_pool(outputs: Outputs) -> tuple[str, str]:
    """Return the ids of the user pool and of its client."""
    if "UserPoolId" not in outputs:
        raise RefusedError("The stack has no user pool: the issuer of the parameter JwtIssuer has its users.")
    return outputs["UserPoolId"], outputs["UserPoolClientId"]


def make_user(outputs: Outputs, email: str, password: str, groups: list[str]) -> None:
    """Add a user with a verified address to the pool, or give an existing one this password and these groups."""
    cognito, (pool, _) = boto3.client("cognito-idp"), find_pool(outputs)
    with suppress(cognito.exceptions.UsernameExistsException):
        cognito.admin_create_user(
            UserPoolId=pool,
            Username=email,
            UserAttributes=[{"Name": "email", "Value": email}, {"Name": "email_verified", "Value": "true"}],
            MessageAction="SUPPRESS",  # an invitation would contain another password
        )
    cognito.admin_set_user_password(UserPoolId=pool, Username=email, Password=password, Permanent=True)
    for group in groups:
        cognito.admin_add_user_to_group(UserPoolId=pool, Username=email, GroupName=group)


def create_token(outputs: Outputs, email: str, password: str) -> str:
    """Sign a user in, and return a new access token."""
    cognito, (pool, client) = boto3.client("cognito-idp"), find_pool(outputs)
    try:
        reply = cognito.admin_initiate_auth(
            UserPoolId=pool,
            ClientId=client,
            AuthFlow="ADMIN_USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": email, "PASSWORD": password},
        )
    except (cognito.exceptions.NotAuthorizedException, cognito.exceptions.UserNotFoundException) as error:
        raise RefusedError(f"{email} cannot sign in: {error.response['Error']['Message']}") from None
    if "AuthenticationResult" not in reply:
        raise RefusedError(f"{email} cannot sign in: Cognito asks for {reply['ChallengeName']}")
    return reply["AuthenticationResult"]["AccessToken"]


@contextmanager
def listen(outputs: Outputs, name: str, pattern: dict[str, Any]) -> Iterator[Callable[[int], list[str]]]:
    """Yield a function that waits at most so many seconds for events that match the pattern, and returns them as JSON.

    Until the end, the bus has a rule of this name, and SQS a queue. A new rule may take a minute to become effective.
    """
    events, sqs, bus = boto3.client("events"), boto3.client("sqs"), outputs["EventBusName"]

    def receive(seconds: int) -> list[str]:
        received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=seconds)
        messages = received.get("Messages", [])
        for message in messages:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return [message["Body"] for message in messages]

    try:
        rule = events.put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps(pattern))["RuleArn"]
        _, partition, _, region, account, *_ = rule.split(":")
        queue = f"arn:{partition}:sqs:{region}:{account}:{name}"
        allow = {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": queue,
            "Condition": {"ArnEquals": {"aws:SourceArn": rule}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
        url = sqs.create_queue(QueueName=name, Attributes={"Policy": policy})["QueueUrl"]
        events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": name, "Arn": queue}])
        yield receive
    finally:
        with suppress(events.exceptions.ResourceNotFoundException):
            events.remove_targets(Rule=name, EventBusName=bus, Ids=[name])
        events.delete_rule(Name=name, EventBusName=bus)
        with suppress(sqs.exceptions.QueueDoesNotExist):
            sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName=name)["QueueUrl"])
