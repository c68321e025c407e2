"""The demo data of the local stack: the directory, the users of the pool, and the page to try the API."""

import json
import os
from contextlib import suppress
from importlib.metadata import distribution
from pathlib import Path
from string import Template

import boto3
from botocore.exceptions import ClientError

from local_stack.deployment import read_outputs, sessions_url
from local_stack.emulator import ROOT

USER = "ada@example.com"
GROUPS = {USER: ["User"], "bob@example.com": ["User"], "dave@example.com": ["User"], "guest@example.com": []}
PASSWORD = "Local-only-1"  # noqa: S105 (it opens an emulator on this machine only)
BUCKET = "page"


def add_demo_data() -> None:
    """Import the demo directory with the deployed function, and add the demo users to the pool. Safe to repeat."""
    function, pool = read_outputs()["ImportDirectoryFunctionName"], read_outputs()["UserPoolId"]
    document = (ROOT / "events/import-directory.json").read_bytes()
    reply = boto3.client("lambda").invoke(FunctionName=function, Qualifier="live", Payload=document)
    answer = json.load(reply["Payload"])
    if "FunctionError" in reply or "errors" in answer:
        raise SystemExit(f"The function refused the demo directory: {answer}")
    cognito = boto3.client("cognito-idp")
    for email, groups in GROUPS.items():
        with suppress(cognito.exceptions.UsernameExistsException):
            cognito.admin_create_user(
                UserPoolId=pool,
                Username=email,
                UserAttributes=[{"Name": "email", "Value": email}, {"Name": "email_verified", "Value": "true"}],
            )
        cognito.admin_set_user_password(UserPoolId=pool, Username=email, Password=PASSWORD, Permanent=True)
        for group in groups:
            cognito.admin_add_user_to_group(UserPoolId=pool, Username=email, GroupName=group)


def create_token(email: str) -> str:
    """Return a new access token of a user of the pool."""
    outputs = read_outputs()
    try:
        reply = boto3.client("cognito-idp").admin_initiate_auth(
            UserPoolId=outputs["UserPoolId"],
            ClientId=outputs["UserPoolClientId"],
            AuthFlow="ADMIN_USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": email, "PASSWORD": PASSWORD},
        )
    except ClientError as error:
        raise SystemExit(f"{email} cannot sign in: {error.response['Error']['Message']}") from None
    return reply["AuthenticationResult"]["AccessToken"]


def publish_page(email: str) -> str:
    """Publish the page to try the API with a new token of a user; return its URL. Safe to repeat.

    A bucket of the emulator holds the page, so that the page and the API have one origin.
    """
    # Swagger UI comes with Powertools, which is locked. This imports no module of Powertools.
    viewer = Path(str(distribution("aws-lambda-powertools").locate_file("aws_lambda_powertools")))
    viewer /= "event_handler/openapi/swagger_ui"
    script, style = "swagger-ui-bundle.min.js", "swagger-ui.min.css"
    servers = {"servers": [{"url": sessions_url().removesuffix("/sessions")}]}
    document = json.loads((ROOT / "docs/openapi.json").read_text()) | servers
    page = Template(Path(__file__).with_name("page.html").read_text()).substitute(user=email, token=create_token(email))
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.delete_public_access_block(Bucket=BUCKET)
    allow = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/*"}
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": [allow]}))
    for key, content_type, body in (
        (script, "text/javascript; charset=utf-8", (viewer / script).read_bytes()),
        (style, "text/css; charset=utf-8", (viewer / style).read_bytes()),
        ("openapi.json", "application/json", json.dumps(document).encode()),
        ("index.html", "text/html; charset=utf-8", page.encode()),
    ):
        # The next stack on this port has another API and other tokens, so browsers must not cache the page.
        s3.put_object(Bucket=BUCKET, Key=key, Body=body, ContentType=content_type, CacheControl="no-store")
    return f"{os.environ['AWS_ENDPOINT_URL']}/{BUCKET}/index.html"
