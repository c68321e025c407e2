"""The caller of a request, and the references of a create to customers, users, teams, caller IDs and sessions."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from sessions.models import CustomerBreadcrumb


class Caller(NamedTuple):
    """The user who sends the request. All fields come from the verified token."""

    user_id: str
    account_id: str
    account_name: str | None
    name: str | None
    email: str | None
    endpoint_id: str | None
    endpoint_name: str | None


class Person(NamedTuple):
    """A user, with the data that a session stores for a member."""

    user_id: str
    name: str
    endpoint_id: str | None = None
    avatar_url: str | None = None


class References(NamedTuple):
    """The customer, parent session, caller ID and people that a request names, as found in the caller's account.

    A default value means that the request names none, or that the account does not have it.
    """

    customer: tuple[CustomerBreadcrumb, ...] = ()
    """From the root to the customer itself; empty if the account lacks it."""
    has_parent: bool = False
    has_caller_id: bool = False
    correspondents: tuple[Person, ...] | None = None
    """The user of `withAddress`, or the users of the team. None if the account has no such user or team."""
    people: Mapping[str, Person] = MappingProxyType({})
    """Users by folded email address."""
