"""Authentication: the caller of a request, from the claims of its token."""

from typing import Any

from sessions.errors import ServiceError
from sessions.references import Caller

ACCOUNT_ID_MAX = 128
REQUIRED_ROLE = "User"
ROLE_CLAIMS = ("cognito:groups", "roles")
CLAIMS = (*Caller._fields, *ROLE_CLAIMS)  # the fields of a caller have the names of their claims


def authenticate(event: dict[str, Any]) -> Caller:
    """Return the caller, from the claims of the token that the gateway's JWT authorizer verified.

    Raise ServiceError. Unauthorized: the event has no claims. Forbidden: the role, the user or a valid account is
    missing, or a claim of CLAIMS is not a string.
    """
    try:
        claims: dict[str, str] = dict(event["requestContext"]["authorizer"]["jwt"]["claims"])
    except (KeyError, TypeError, ValueError) as error:
        raise ServiceError("Unauthorized") from error
    if not all(isinstance(claims.get(name, ""), str) for name in CLAIMS):
        raise ServiceError("Forbidden")
    account_id = claims.get("account_id", "")
    if REQUIRED_ROLE not in read_roles(claims) or not claims.get("user_id"):
        raise ServiceError("Forbidden")
    if not 0 < len(account_id) <= ACCOUNT_ID_MAX or "#" in account_id:  # keys separate account and id by #
        raise ServiceError("Forbidden")
    return Caller._make(claims.get(name) for name in Caller._fields)


def read_roles(claims: dict[str, str]) -> set[str]:
    """Return the roles in the claims `cognito:groups` and `roles`.

    HTTP API passes a list as one string, `[User Admin]`. A string without brackets is one role.
    """
    roles: set[str] = set()
    for claim in ROLE_CLAIMS:
        value = claims.get(claim, "")
        roles.update(value[1:-1].split(" ") if value.startswith("[") and value.endswith("]") else [value])
    return roles
