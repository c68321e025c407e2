"""The demo data of the local stack: the directory, the users of the pool, and the page to try the API."""

import json
import os
from importlib.metadata import distribution
from pathlib import Path
from string import Template

import boto3

import deployed_stack as stack
from local_stack.deployment import STACK_NAME
from local_stack.emulator import ROOT

USER = "ada@example.com"
GROUPS = {USER: ["User"], "bob@example.com": ["User"], "dave@example.com": ["User"], "guest@example.com": []}
PASSWORD = "Local-only-1"  # noqa: S105 (it opens an emulator on this machine only)
BUCKET = "page"


def add_demo_data() -> None:
    """Import the demo directory with the deployed function, and add the demo users to the pool. Safe to repeat."""
    outputs = stack.read_outputs(STACK_NAME)
    stack.import_document(outputs, (ROOT / "events/import-directory.json").read_bytes())
    for email, groups in GROUPS.items():
        stack.make_user(outputs, email, PASSWORD, groups)


def create_token(email: str) -> str:
    """Return a new access token of a user of the pool."""
    return stack.create_token(stack.read_outputs(STACK_NAME), email, PASSWORD)


def publish_page(email: str) -> str:
    """Publish the page to try the API with a new token of a user; return its URL. Safe to repeat.

    A bucket of the emulator holds the page, so that the page and the API have one origin.
    """
    # Swagger UI comes with Powertools, which is locked. This imports no module of Powertools.
    viewer = Path(str(distribution("aws-lambda-powertools").locate_file("aws_lambda_powertools")))
    viewer /= "event_handler/openapi/swagger_ui"
    script, style = "swagger-ui-bundle.min.js", "swagger-ui.min.css"
    url = stack.sessions_url(stack.read_outputs(STACK_NAME))
    servers = {"servers": [{"url": url.removesuffix("/sessions")}]}
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
