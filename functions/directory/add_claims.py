"""Cognito's pre-token-generation trigger (V2_0): puts who the user is, as the Directory knows it, on both tokens.

The Directory has one item for each email address that may sign in (`pk` EMAIL#<address in lower case>, `sk` SIGN_IN),
which names the one account and user that the address belongs to. Users cannot change it. A user whose address is not
verified or not known gets a token without these claims, which the API refuses with 403.

https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-pre-token-generation.html
"""

import os
from typing import TYPE_CHECKING, Any, cast

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config
from botocore.session import get_session

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TABLE = os.environ["DIRECTORY_TABLE"]

# Claim by claim, the attribute that it is taken from. A user without an endpoint has none of its claims.
CLAIMS = {
    "email": "email",
    "name": "userName",
    "user_id": "userId",
    "account_id": "accountId",
    "account_name": "accountName",
    "endpoint_id": "endpointId",
    "endpoint_name": "endpointName",
}

# Cognito waits 5 s for a trigger, its cold start included: two attempts of 1 s (connecting, TLS and waiting) and up to
# 1 s of back-off end before.
config = Config(connect_timeout=0.25, read_timeout=0.5, retries={"mode": "standard", "total_max_attempts": 2})
client = cast("DynamoDBClient", get_session().create_client("dynamodb", config=config))
logger = Logger()


def handler(event: dict[str, Any], _: LambdaContext) -> dict[str, Any]:
    """Add the claims of a known, verified address. An error of DynamoDB is raised: then Cognito issues no token."""
    claims = find_claims(event["request"]["userAttributes"])
    logger.info("claims added" if claims else "no such sign-in", extra={"user": event.get("userName")})
    if claims:
        event["response"]["claimsAndScopeOverrideDetails"] = {
            "idTokenGeneration": {"claimsToAddOrOverride": claims},
            "accessTokenGeneration": {"claimsToAddOrOverride": claims},
        }
    return event


def find_claims(user: dict[str, str]) -> dict[str, str]:
    """The claims for a user of the pool, from its attributes; none unless its address is verified and known."""
    if user.get("email_verified") != "true" or not user.get("email"):
        return {}
    key = {"pk": {"S": f"EMAIL#{user['email'].lower()}"}, "sk": {"S": "SIGN_IN"}}
    item = client.get_item(TableName=TABLE, Key=key, ConsistentRead=True).get("Item", {})
    return {claim: item[attribute]["S"] for claim, attribute in CLAIMS.items() if attribute in item}
