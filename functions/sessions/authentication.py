"""Authentication: the caller of a request, from the claims of its token."""

from typing import Any

from sessions.errors import ServiceError
from sessions.references import Caller

ACCOUNT_ID_MAX = 128
REQUIRED_ROLE = "User"


def authenticate(event: dict[str, Any]) -> Caller:
    """Return the caller, from the claims of the token that the gateway's JWT authorizer verified.

    Raise ServiceError: Unauthorized without claims; Forbidden without the role, a user or an account.
    """
    try:
        claims: dict[str, str] = event["requestContext"]["authorizer"]["jwt"]["claims"]
    except (KeyError, TypeError) as error:
        raise ServiceError("Unauthorized") from error
    account_id = claims.get("account_id", "")
    if REQUIRED_ROLE not in read_roles(claims) or not claims.get("user_id"):
        raise ServiceError("Forbidden")
    if not 0 < len(account_id) <= ACCOUNT_ID_MAX or "#" in account_id:  # keys separate account and id by #
        raise ServiceError("Forbidden")
    return Caller(
        user_id=claims["user_id"],
        account_id=account_id,
        account_name=claims.get("account_name"),
        name=claims.get("name"),
        email=claims.get("email"),
        endpoint_id=claims.get("endpoint_id"),
        endpoint_name=claims.get("endpoint_name"),
    )


def read_roles(claims: dict[str, str]) -> set[str]:
    """Return the roles in the claims `cognito:groups` and `roles`.

    HTTP API passes a list as one string, `[User Admin]`. A string without brackets is one role.
    """
    roles: set[str] = set()
    for claim in ("cognito:groups", "roles"):
        value = claims.get(claim, "")
        roles.update(value[1:-1].split(" ") if value.startswith("[") and value.endswith("]") else [value])
    return roles
