"""What a request is about besides itself: who makes it, what it refers to, and whether it was made before."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from sessions.models import CustomerBreadcrumb, SessionInfo


class Caller(NamedTuple):
    """Who is calling, as the verified token says it. Nothing here ever comes from a request's body or URL."""

    user_id: str
    account_id: str
    account_name: str | None
    name: str | None
    email: str | None
    endpoint_id: str | None
    endpoint_name: str | None


class Person(NamedTuple):
    """A user of the account, as a member of a session shows it."""

    user_id: str
    name: str
    endpoint_id: str | None = None
    avatar_url: str | None = None


class StoredSession(NamedTuple):
    """A session that is there already, with what tells whose request made it."""

    session: SessionInfo
    fingerprint: str | None
    """That of the request; None if it had no Idempotency-Key."""
    request_id: str | None
    """The gateway's id of that request."""


class References(NamedTuple):
    """What a request refers to, as far as the caller's account has it. Addresses are in lower case."""

    customer: tuple[CustomerBreadcrumb, ...] = ()
    """From the root to the customer itself; empty if the account does not have it."""
    has_parent: bool = False
    has_caller_id: bool = False
    correspondents: tuple[Person, ...] | None = None
    """The user or the team's users of `withAddress`; None if the account does not have it."""
    people: Mapping[str, Person] = MappingProxyType({})
    """By email address."""
    existing: StoredSession | None = None
    """The session itself, if an earlier request with the same Idempotency-Key has made it."""
