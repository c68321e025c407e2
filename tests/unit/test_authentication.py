"""Authentication: the caller of a request."""

import pytest
from conftest import make_event

from sessions.authentication import authenticate
from sessions.errors import ServiceError
from sessions.references import Caller


def refuse(event: dict[str, object]) -> str:
    """Return the error code with which the caller of an event is refused."""
    with pytest.raises(ServiceError) as caught:
        authenticate(event)
    return caught.value.code


def test_the_caller_comes_from_the_claims_of_the_token() -> None:
    assert authenticate(make_event()) == Caller(
        user_id="ada",
        account_id="acme",
        account_name="Acme Corp",
        name="Ada Lovelace",
        email="ada@example.com",
        endpoint_id="ep-ada",
        endpoint_name="Ada's desk",
    )


@pytest.mark.parametrize("context", [None, {}, {"authorizer": None}, {"authorizer": {}}, {"authorizer": {"jwt": None}}])
def test_a_request_without_claims_is_unauthorized(context: object) -> None:
    assert refuse({"requestContext": context}) == "Unauthorized"
    assert refuse({}) == "Unauthorized"


@pytest.mark.parametrize("groups", ["[User]", "[User Admin]", "[Admin User]", "User"])
def test_a_caller_has_the_role_user_by_either_claim(groups: str) -> None:
    assert authenticate(make_event(**{"cognito:groups": groups})).user_id == "ada"
    assert authenticate(make_event(**{"cognito:groups": None, "roles": groups})).user_id == "ada"


@pytest.mark.parametrize(
    "groups",
    [None, "", "[]", "[ ]", "user", "[user]", "[USER]", "Users", "[SuperUser]", "[User-Admin]", "[[User] x]",
     "User Admin", "[User", "User]", "[Admin,User]", '["User"]', "[User\u00a0]"],
)  # fmt: skip
def test_a_caller_without_the_exact_role_is_forbidden(groups: str | None) -> None:
    assert refuse(make_event(**{"cognito:groups": groups})) == "Forbidden"
    assert refuse(make_event(**{"cognito:groups": None, "roles": groups})) == "Forbidden"


@pytest.mark.parametrize("claim", ["account_id", "user_id"])
@pytest.mark.parametrize("value", [None, ""])
def test_a_caller_without_account_or_user_is_forbidden(claim: str, value: str | None) -> None:
    assert refuse(make_event(**{claim: value})) == "Forbidden"


@pytest.mark.parametrize("account", ["acme#0123", "#", "a" * 129])
def test_an_account_id_that_could_form_the_key_of_another_account_is_forbidden(account: str) -> None:
    assert refuse(make_event(account_id=account)) == "Forbidden"


@pytest.mark.parametrize(
    "claim", ["user_id", "account_id", "name", "email", "endpoint_name", "cognito:groups", "roles"]
)
@pytest.mark.parametrize("value", [1, None, ["User"], {"a": "b"}, True])
def test_a_caller_with_a_claim_that_is_no_string_is_forbidden(claim: str, value: object) -> None:
    event = make_event()
    event["requestContext"]["authorizer"]["jwt"]["claims"][claim] = value
    assert refuse(event) == "Forbidden"


@pytest.mark.parametrize("claims", [1, "x", ["User"], [1]])
def test_claims_that_are_no_object_are_unauthorized(claims: object) -> None:
    assert refuse({"requestContext": {"authorizer": {"jwt": {"claims": claims}}}}) == "Unauthorized"
