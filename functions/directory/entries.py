"""The items of the Directory table for an account. Pure functions. template.yaml has the layout of the table."""

from collections.abc import Iterator
from typing import Any

from aws.text import fold_address
from directory.models import Account, User, make_chain

type Item = dict[str, Any]


def address_key(user: User) -> str:
    """Return the key of the user's email address, in lower case."""
    return f"EMAIL#{fold_address(user.email)}"


def make_entries(account: Account) -> Iterator[Item]:
    """Yield the entries of an account: itself, and its users, teams, customers and caller IDs.

    An entry has the attributes that a create needs.
    """
    pk = f"ACCOUNT#{account.id}"
    yield {"pk": pk, "sk": "ACCOUNT", "id": account.id, "name": account.name}
    people = {user.id: make_person(user) for user in account.users}
    for user in account.users:
        yield {"pk": pk, "sk": f"USER#{user.id}", **people[user.id]}
        yield {"pk": pk, "sk": address_key(user), **people[user.id]}
    for team in account.teams:
        members = [people[user_id] for user_id in team.user_ids]
        yield {"pk": pk, "sk": f"TEAM#{team.id}", "name": team.name, "members": members}
    customers = {customer.id: customer for customer in account.customers}
    for customer in account.customers:
        breadcrumb = [{"id": each.id, "name": each.name} for each in make_chain(customer, customers)]
        yield {"pk": pk, "sk": f"CUSTOMER#{customer.id}", "breadcrumb": breadcrumb}
    for number in account.caller_ids:
        yield {"pk": pk, "sk": f"CALLER_ID#{number}"}


def make_person(user: User) -> Item:
    """Return the attributes of a user that a session stores for a member."""
    person = {"userId": user.id, "name": user.name, "endpointId": user.endpoint_id, "avatarUrl": user.avatar_url}
    return {name: value for name, value in person.items() if value is not None}


def make_sign_in(account: Account, user: User) -> Item:
    """Return the item from which `add_claims` takes the claims of a user's tokens."""
    sign_in = {
        "pk": address_key(user),
        "sk": "SIGN_IN",
        "email": user.email,
        "userId": user.id,
        "userName": user.name,
        "accountId": account.id,
        "accountName": account.name,
        "endpointId": user.endpoint_id,
        "endpointName": user.endpoint_name,
    }
    return {name: value for name, value in sign_in.items() if value is not None}
