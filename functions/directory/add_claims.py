"""Cognito's pre-token-generation trigger (V2_0): adds the caller's claims from the Directory to both tokens.

The Directory has one item for each email address that may sign in (`pk` EMAIL#<address in lower case>, `sk` SIGN_IN).
The item names the one account and user of the address. Users cannot change the item. A user with an
unverified or unknown address gets a token without these claims, and the API answers 403.

https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-pre-token-generation.html
"""

import os
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from aws.client import make_client
from aws.text import fold_address

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

DIRECTORY_TABLE = os.environ["DIRECTORY_TABLE"]

# Each claim, with its attribute of the item. A user without an endpoint has no `endpoint_` claim.
CLAIMS = {
    "email": "email",
    "name": "userName",
    "user_id": "userId",
    "account_id": "accountId",
    "account_name": "accountName",
    "endpoint_id": "endpointId",
    "endpoint_name": "endpointName",
}

# Cognito waits 5 s for a trigger, its cold start included. An attempt takes 1.5 s at most: 0.25 s each to connect and
# to negotiate TLS, and 1 s to read. So two attempts leave 2 s for the cold start and a short pause.
client: "DynamoDBClient" = make_client("dynamodb", connect_seconds=0.25, read_seconds=1, attempts=2)
logger = Logger()


def handler(event: dict[str, Any], _: LambdaContext) -> dict[str, Any]:
    """Add the claims of a known, verified address. Raise DynamoDB's errors: Cognito then issues no token."""
    claims = find_claims(event["request"]["userAttributes"])
    logger.info("Claims added" if claims else "Unknown or unverified address", extra={"user": event.get("userName")})
    if claims:
        event["response"]["claimsAndScopeOverrideDetails"] = {
            "idTokenGeneration": {"claimsToAddOrOverride": claims},
            "accessTokenGeneration": {"claimsToAddOrOverride": claims},
        }
    return event


def find_claims(user: dict[str, str]) -> dict[str, str]:
    """Return the claims of a pool user with these attributes; none if the address is unverified or unknown."""
    address = user.get("email", "")
    if user.get("email_verified") != "true" or not address:
        return {}
    key = {"pk": {"S": f"EMAIL#{fold_address(address)}"}, "sk": {"S": "SIGN_IN"}}
    item = client.get_item(TableName=DIRECTORY_TABLE, Key=key, ConsistentRead=True).get("Item", {})
    return {claim: item[attribute]["S"] for claim, attribute in CLAIMS.items() if attribute in item}
