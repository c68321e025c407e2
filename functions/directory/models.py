"""The directory document: accounts with their users, teams, customers and caller IDs."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from aws.text import FORBIDDEN, NONEMPTY_TEXT, PHONE_NUMBER, PHONE_NUMBER_MESSAGE, fold_address

ACCOUNT_ID = f"^[^{FORBIDDEN}#]+$"
EMAIL = r"^[!-?A-~]+@[!-?A-~]+$"
URL = r"^https://[!-~]+$"
# The formats of text in a document, each with the message for text that does not match.
FORMATS = {
    NONEMPTY_TEXT: "must not be empty or contain control characters",
    ACCOUNT_ID: "must not be empty or contain # or control characters",
    EMAIL: "must be an email address in ASCII",
    PHONE_NUMBER: PHONE_NUMBER_MESSAGE,
    URL: "must be an https URL in ASCII",
}

# The API has the same bounds or larger ones. So a request can refer to everything in a document.
Identifier = Annotated[str, StringConstraints(max_length=128, pattern=NONEMPTY_TEXT)]
AccountId = Annotated[str, StringConstraints(max_length=128, pattern=ACCOUNT_ID)]
Name = Annotated[str, StringConstraints(max_length=256, pattern=NONEMPTY_TEXT)]
EmailAddress = Annotated[str, StringConstraints(max_length=254, pattern=EMAIL)]
PhoneNumber = Annotated[str, StringConstraints(pattern=PHONE_NUMBER)]
Url = Annotated[str, StringConstraints(max_length=2048, pattern=URL)]

TEAM_MAX = 49  # 49 users and the creator are 50 members, the maximum of a session
DEPTH_MAX = 50

type Path = tuple[str | int, ...]
type Error = tuple[Path, str]


class Model(BaseModel):
    """A model in camelCase. An unknown key is an error.

    If a document misspelled `users`, the import would see no users, and would delete all users of the account.
    """

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, hide_input_in_errors=True)


class User(Model):
    id: Identifier
    name: Name
    email: EmailAddress
    endpoint_id: Identifier | None = None
    endpoint_name: Name | None = None
    avatar_url: Url | None = None


class Team(Model):
    id: Identifier
    name: Name
    user_ids: Annotated[list[Identifier], Field(max_length=TEAM_MAX)]


class Customer(Model):
    id: Identifier
    name: Name
    parent_id: Identifier | None = None


class Account(Model):
    id: AccountId
    name: Name
    users: list[User] = []
    teams: list[Team] = []
    customers: list[Customer] = []
    caller_ids: list[PhoneNumber] = []


class Document(Model):
    accounts: Annotated[list[Account], Field(min_length=1)]


def find_errors(document: Document) -> list[Error]:
    """Return the contradictions within a document, each with its path."""
    errors = list(find_repeated(("accounts",), "id", [account.id for account in document.accounts]))
    owners: dict[str, str] = {}
    for index, account in enumerate(document.accounts):
        place = ("accounts", index)
        errors += find_repeated((*place, "users"), "id", [user.id for user in account.users])
        errors += find_repeated((*place, "teams"), "id", [team.id for team in account.teams])
        errors += find_repeated((*place, "customers"), "id", [customer.id for customer in account.customers])
        errors += find_repeated((*place, "callerIds"), None, account.caller_ids)

        for number, user in enumerate(account.users):
            if fold_address(user.email) in owners:
                path = (*place, "users", number, "email")
                errors.append((path, f"is also the address of {owners[fold_address(user.email)]}"))
            owners[fold_address(user.email)] = f"{user.id} of {account.id}"

        users = {user.id for user in account.users}
        for number, team in enumerate(account.teams):
            members = enumerate(team.user_ids)
            path = (*place, "teams", number, "userIds")
            errors += [
                ((*path, position), "is not a user of the account") for position, user in members if user not in users
            ]
            errors += find_repeated(path, None, team.user_ids)
        errors += find_broken_chains((*place, "customers"), account.customers)
    return errors


def find_repeated(place: Path, key: str | None, values: list[str]) -> Iterator[Error]:
    """Yield an error for each repeated value of a list."""
    seen = set()
    for index, value in enumerate(values):
        if value in seen:
            yield (*place, index, *([key] if key else [])), "is given twice"
        seen.add(value)


def find_broken_chains(place: Path, customers: list[Customer]) -> Iterator[Error]:
    """Yield an error for each customer with an unknown parent, a cycle of ancestors, or more than DEPTH_MAX levels."""
    by_id = {customer.id: customer for customer in customers}
    for index, customer in enumerate(customers):
        path = (*place, index, "parentId")
        if customer.parent_id and customer.parent_id not in by_id:
            yield path, "is not a customer of the account"
            continue
        chain = make_chain(customer, by_id)
        if customer.id in {ancestor.id for ancestor in chain[:-1]}:
            yield path, "makes the customer its own ancestor"
        elif len(chain) > DEPTH_MAX:
            yield path, f"puts the customer more than {DEPTH_MAX} levels down"


def make_chain(customer: Customer, by_id: dict[str, Customer]) -> list[Customer]:
    """Return the customers from the root to this one. Stop if it is its own ancestor, or after DEPTH_MAX ancestors."""
    chain = [customer]
    while (parent := by_id.get(chain[0].parent_id or "")) and len(chain) <= DEPTH_MAX:
        chain.insert(0, parent)
        if parent is customer:
            break
    return chain
