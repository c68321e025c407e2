"""The pre-token-generation trigger with the demo directory in memory."""

import json
from base64 import urlsafe_b64encode
from bisect import bisect_left
from typing import Any

import pytest
from conftest import CONTEXT, load_event
from mypy_boto3_dynamodb import DynamoDBClient

from directory.add_claims import client, handler
from directory.import_directory import handler as import_directory

pytestmark = pytest.mark.usefixtures("directory")

CLAIMS = {
    "email": "ada@example.com",
    "name": "Ada Lovelace",
    "user_id": "ada",
    "account_id": "acme",
    "account_name": "Acme Corp",
    "endpoint_id": "ep-ada",
    "endpoint_name": "Ada's desk",
}


def sign_in(**attributes: str | None) -> Any:  # noqa: ANN401
    """Return the claims that the trigger adds to the tokens of ada with these attributes. None omits an attribute."""
    event = load_event("add-claims")
    user = event["request"]["userAttributes"] | attributes
    event["request"]["userAttributes"] = {name: value for name, value in user.items() if value is not None}
    return handler(event, CONTEXT)["response"]["claimsAndScopeOverrideDetails"]


def test_a_known_user_gets_the_claims_on_both_tokens() -> None:
    added = {"claimsToAddOrOverride": CLAIMS}
    assert sign_in() == {"idTokenGeneration": added, "accessTokenGeneration": added}


def test_a_user_without_an_endpoint_gets_no_endpoint_claims() -> None:
    claims = sign_in(email="guest@example.com")["accessTokenGeneration"]["claimsToAddOrOverride"]
    assert claims["user_id"] == "guest"
    assert not {"endpoint_id", "endpoint_name"} & set(claims)


@pytest.mark.parametrize(
    "attributes",
    [
        {"email": "mallory@example.com"},
        {"email": ""},
        {"email": None},
        {"email_verified": "false"},
        {"email_verified": None},
    ],
)
def test_an_unknown_or_unverified_address_gets_no_claims(attributes: dict[str, str | None]) -> None:
    assert sign_in(**attributes) is None


def test_attributes_that_a_user_can_edit_do_not_become_claims() -> None:
    forged = {"name": "Mallory", "account_id": "globex", "custom:account_id": "globex", "user_id": "dave"}
    assert sign_in(**forged)["accessTokenGeneration"]["claimsToAddOrOverride"] == CLAIMS


def test_no_token_is_issued_if_the_directory_fails(dynamodb: DynamoDBClient) -> None:
    dynamodb.delete_table(TableName="directory")
    with pytest.raises(Exception, match="ResourceNotFoundException"):
        sign_in()


def test_a_sign_in_has_time_for_a_second_attempt_and_a_cold_start(template: dict[str, Any]) -> None:
    config: Any = client.meta.config
    attempts = config.retries["total_max_attempts"]
    longest = attempts * (2 * config.connect_timeout + config.read_timeout)  # TLS has the timeout of the connection
    assert (attempts, config.read_timeout) == (2, 1)
    assert longest + 1.5 < template["Resources"]["AddClaimsFunction"]["Properties"]["Timeout"] == 5  # Cognito's limit


def test_an_address_that_only_looks_like_that_of_a_user_gets_no_claims() -> None:
    account = {"id": "kappa", "name": "K", "users": [{"id": "kim", "name": "Kim", "email": "kim@kappa.example"}]}
    import_directory({"accounts": [account]}, CONTEXT)
    assert sign_in(email="KIM@kappa.example")
    assert sign_in(email="\u212aim@kappa.example") is None  # str.lower() folds the Kelvin sign to k


def import_user(wide: int) -> int:
    """Import a user with the longest ids and names. Return the number of errors, which is 0 or 1.

    `wide` characters have 12 bytes in ASCII JSON, the others one byte.
    """
    names = ("\U0001f3a7" * wide).ljust(3 * 256, "x")
    user = {"id": "u" * 128, "name": names[:256], "endpointId": "e" * 128, "endpointName": names[256:512]}
    account = {"id": "a" * 128, "name": names[512:], "users": [user | {"email": LONGEST}]}
    return len(import_directory({"accounts": [account]}, CONTEXT).get("errors", []))


def encode(content: object) -> str:
    return urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


LONGEST = "x" * 242 + "@example.com"
UUID = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
COGNITO_CLAIMS = {  # of access and ID tokens together
    **dict.fromkeys(("sub", "username", "cognito:username", "event_id", "jti", "origin_jti"), UUID),
    **dict.fromkeys(("auth_time", "iat", "exp"), 1795634783),
    **dict.fromkeys(("client_id", "aud"), "1example23456789example234"),
    "iss": "https://cognito-idp.ap-southeast-1.amazonaws.com/ap-southeast-1_EXAMPLE00",
    "scope": "aws.cognito.signin.user.admin openid profile email",
    "token_use": "access",
    "version": 2,
    "email_verified": True,
    "cognito:groups": ["User", "g" * 496],  # docs/operations.md allows 500 bytes
}
OTHER_HEADERS = {"idempotency-key": "k" * 255, "tracestate": "t" * 512, "baggage": "b" * 512, "and-the-rest": "r" * 800}


def test_a_request_with_the_largest_token_fits_the_limit_of_the_gateway() -> None:
    """API Gateway accepts 10,240 bytes of request line and headers."""
    too_wide = bisect_left(range(3 * 256), 1, key=import_user)
    assert import_user(too_wide - 1) == 0
    claims = sign_in(email=LONGEST)["idTokenGeneration"]["claimsToAddOrOverride"]
    token = f"{encode({'kid': 'k' * 44, 'alg': 'RS256'})}.{encode(COGNITO_CLAIMS | claims)}.{'s' * 342}"
    headers = OTHER_HEADERS | {"authorization": f"Bearer {token}"}
    request = "POST /sessions HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    assert 7000 < len(token) < 7500
    assert len(request) < 10_240
