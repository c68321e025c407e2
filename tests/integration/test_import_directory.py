"""The import of directory documents into a table in memory."""

import copy
import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
from boto3.dynamodb.types import TypeDeserializer
from conftest import CONTEXT, load_event
from mypy_boto3_dynamodb import DynamoDBClient

from directory import import_directory
from directory.import_directory import handler
from directory.models import DEPTH_MAX

type Document = dict[str, Any]


@pytest.fixture
def document() -> Document:
    return load_event("import-directory")


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aws.client.time.sleep", lambda _: None)


def load(document: Document) -> dict[str, Any]:
    """Import a document, and return the answer."""
    return handler(document, CONTEXT)


def scan(dynamodb: DynamoDBClient) -> dict[tuple[str, str], dict[str, Any]]:
    """Return all items of the directory table by key."""
    deserialize = TypeDeserializer().deserialize
    pages = dynamodb.get_paginator("scan").paginate(TableName="directory")
    items = [{name: deserialize(value) for name, value in item.items()} for page in pages for item in page["Items"]]
    return {(item["pk"], item["sk"]): item for item in items}


def find_sign_ins(dynamodb: DynamoDBClient) -> dict[str, str]:
    """Return the account of each address that may sign in."""
    return {
        pk.removeprefix("EMAIL#"): item["accountId"] for (pk, sk), item in scan(dynamodb).items() if sk == "SIGN_IN"
    }


def import_errors(document: Document) -> list[tuple[str, str]]:
    """Import an invalid document, and return the path and the message of each error."""
    return [(error["path"], error["message"]) for error in load(document)["errors"]]


def make_account(account_id: str, *emails: str) -> dict[str, Any]:
    """Return an account with a user for each address."""
    users = [{"id": email.partition("@")[0], "name": email, "email": email} for email in emails]
    return {"id": account_id, "name": account_id, "users": users}


def test_the_demo_directory_is_imported_and_counted(dynamodb: DynamoDBClient, document: Document) -> None:
    # 2 accounts, 5 users by id and by address, 1 team, 4 customers, 3 caller IDs; 5 sign-ins
    assert load(document) == {"accounts": 2, "put": 20 + 5, "deleted": 0}
    stored = scan(dynamodb)
    assert len(stored) == 25
    assert stored["ACCOUNT#acme", "TEAM#support"] == {
        "pk": "ACCOUNT#acme",
        "sk": "TEAM#support",
        "name": "Support",
        "members": [
            {"userId": "bob", "name": "Bob Stone", "endpointId": "ep-bob"},
            {"userId": "carol", "name": "Carol Reyes", "endpointId": "ep-carol"},
        ],
    }
    breadcrumb = stored["ACCOUNT#acme", "CUSTOMER#northwind-paris"]["breadcrumb"]
    assert [each["id"] for each in breadcrumb] == ["northwind", "northwind-emea", "northwind-paris"]
    assert stored["EMAIL#ada@example.com", "SIGN_IN"]["accountId"] == "acme"
    assert "endpointId" not in stored["EMAIL#guest@example.com", "SIGN_IN"]


def test_importing_a_document_again_changes_nothing_and_deletes_nothing_meanwhile(
    dynamodb: DynamoDBClient, document: Document
) -> None:
    load(document)
    before = scan(dynamodb)
    deletes: list[str] = []

    def record_deletes(params: dict[str, Any], **_: object) -> None:
        writes = params.get("TransactItems") or params.get("RequestItems", {}).get("directory", [])
        deletes.extend(str(write) for write in writes if {"Delete", "DeleteRequest"} & set(write))

    events = import_directory.client.meta.events
    events.register("provide-client-params.dynamodb", record_deletes)
    assert load(document) == {"accounts": 2, "put": 25, "deleted": 0}
    events.unregister("provide-client-params.dynamodb", record_deletes)
    assert deletes == []
    assert scan(dynamodb) == before


def test_an_import_deletes_omitted_records_of_the_named_accounts_only(
    dynamodb: DynamoDBClient, document: Document
) -> None:
    load(document)
    before = scan(dynamodb)
    answer = load({"accounts": [make_account("acme", "ada@example.com")]})
    after = scan(dynamodb)
    assert answer == {"accounts": 1, "put": 4, "deleted": 15}
    assert len(before) - len(after) == 15
    others = {key: item for key, item in before.items() if "globex" in key[0] or "dave" in key[0]}
    assert {key: item for key, item in after.items() if key in others} == others
    assert after.keys() - others.keys() == {
        ("ACCOUNT#acme", "ACCOUNT"),
        ("ACCOUNT#acme", "USER#ada"),
        ("ACCOUNT#acme", "EMAIL#ada@example.com"),
        ("EMAIL#ada@example.com", "SIGN_IN"),
    }


def test_a_user_with_a_new_address_cannot_sign_in_with_the_old_one(dynamodb: DynamoDBClient) -> None:
    load({"accounts": [make_account("acme", "ada@example.com")]})
    account = make_account("acme", "ada@example.com")
    account["users"][0]["email"] = "Lovelace@Example.com"
    load({"accounts": [account]})
    assert find_sign_ins(dynamodb) == {"lovelace@example.com": "acme"}


def test_an_address_can_move_between_accounts_of_one_document(dynamodb: DynamoDBClient) -> None:
    load({"accounts": [make_account("acme", "ada@example.com", "bob@example.com"), make_account("globex")]})
    load({"accounts": [make_account("acme", "bob@example.com"), make_account("globex", "ada@example.com")]})
    assert find_sign_ins(dynamodb) == {"ada@example.com": "globex", "bob@example.com": "acme"}
    assert ("ACCOUNT#acme", "EMAIL#ada@example.com") not in scan(dynamodb)


def change(path: str, value: object) -> Callable[[Document], None]:
    """Return a function that sets the value at a path such as `accounts.0.users.1.email`."""

    def apply(document: Document) -> None:
        *steps, last = [int(step) if step.isdigit() else step for step in path.split(".")]
        target: Any = document
        for step in steps:
            target = target[step]
        target[last] = value

    return apply


@pytest.mark.parametrize(
    ("apply", "path", "message"),
    [
        (change("accounts", []), "accounts", "at least 1"),
        (change("accounts.0.id", ""), "accounts[0].id", "# or control"),
        (change("accounts.0.id", "a#b"), "accounts[0].id", "# or control"),
        (change("accounts.1.id", "acme"), "accounts[1].id", "twice"),
        (change("accounts.0.name", "\ud800"), "accounts[0].name", "unicode"),
        (change("accounts.0.userz", []), "accounts[0].userz", "not permitted"),
        (change("accounts.0.users.0.name", None), "accounts[0].users[0].name", "string"),
        (change("accounts.0.users.1.id", "ada"), "accounts[0].users[1].id", "twice"),
        (change("accounts.0.users.1.email", "ADA@example.com"), "accounts[0].users[1].email", "address of ada"),
        (change("accounts.1.users.0.email", "ada@example.com"), "accounts[1].users[0].email", "address of ada"),
        (change("accounts.0.users.1.email", "bob"), "accounts[0].users[1].email", "email address"),
        (change("accounts.0.users.1.avatarUrl", "javascript:x"), "accounts[0].users[1].avatarUrl", "https URL"),
        (change("accounts.0.teams.0.userIds", ["bob", "dave"]), "accounts[0].teams[0].userIds[1]", "not a user"),
        (change("accounts.0.teams.0.userIds", ["bob", "bob"]), "accounts[0].teams[0].userIds[1]", "twice"),
        (change("accounts.0.teams.0.userIds", ["bob"] * 50), "accounts[0].teams[0].userIds", "at most 49"),
        (change("accounts.0.customers.2.parentId", "initech"), "accounts[0].customers[2].parentId", "not a customer"),
        (change("accounts.0.customers.0.parentId", "northwind"), "accounts[0].customers[0].parentId", "own ancestor"),
        (change("accounts.0.customers.1.id", "northwind"), "accounts[0].customers[1].id", "twice"),
        (change("accounts.0.callerIds.1", "+15550100001"), "accounts[0].callerIds[1]", "twice"),
        (change("accounts.0.callerIds.1", "15550100002"), "accounts[0].callerIds[1]", "E.164"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_an_invalid_document_imports_nothing(
    dynamodb: DynamoDBClient, document: Document, apply: Callable[[Document], None], path: str, message: str
) -> None:
    apply(document)
    errors = dict(import_errors(document))
    assert message in errors[path]
    assert scan(dynamodb) == {}


def test_all_errors_of_a_document_come_at_once(dynamodb: DynamoDBClient, document: Document) -> None:
    document["accounts"][0]["teams"][0]["userIds"] = ["x"]
    document["accounts"][1]["customers"][0]["parentId"] = "y"
    assert [path for path, _ in import_errors(document)] == [
        "accounts[0].teams[0].userIds[0]",
        "accounts[1].customers[0].parentId",
    ]
    assert scan(dynamodb) == {}


def test_each_customer_below_a_loop_of_parents_is_an_error(dynamodb: DynamoDBClient, document: Document) -> None:
    document["accounts"][0]["customers"][0]["parentId"] = "northwind-emea"
    assert import_errors(document) == [
        ("accounts[0].customers[0].parentId", "makes the customer its own ancestor"),
        ("accounts[0].customers[1].parentId", "makes the customer its own ancestor"),
        ("accounts[0].customers[2].parentId", f"puts the customer more than {DEPTH_MAX} levels down"),
    ]
    assert scan(dynamodb) == {}


def test_customers_have_at_most_50_levels(dynamodb: DynamoDBClient) -> None:
    account = make_account("acme")
    account["customers"] = [{"id": "c0", "name": "C"}] + [
        {"id": f"c{level}", "name": "C", "parentId": f"c{level - 1}"} for level in range(1, DEPTH_MAX)
    ]
    assert "errors" not in load({"accounts": [account]})
    assert len(scan(dynamodb)["ACCOUNT#acme", f"CUSTOMER#c{DEPTH_MAX - 1}"]["breadcrumb"]) == DEPTH_MAX
    account["customers"].append({"id": "low", "name": "C", "parentId": f"c{DEPTH_MAX - 1}"})
    assert [path for path, _ in import_errors({"accounts": [account]})] == [
        f"accounts[0].customers[{DEPTH_MAX}].parentId"
    ]


def test_an_import_takes_no_address_of_an_account_outside_the_document(dynamodb: DynamoDBClient) -> None:
    load({"accounts": [make_account("acme", "ada@example.com")]})
    before = scan(dynamodb)
    assert import_errors({"accounts": [make_account("globex", "dave@example.com", "Ada@example.com")]}) == [
        ("accounts[0].users[1].email", "belongs to another account")
    ]
    assert scan(dynamodb) == before


def test_an_import_takes_no_address_that_another_import_took_meanwhile(
    dynamodb: DynamoDBClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = import_directory.write

    def import_another_first(requests: list[Any]) -> None:
        monkeypatch.setattr(import_directory, "write", write)
        load({"accounts": [make_account("acme", "ada@example.com")]})
        write(requests)

    monkeypatch.setattr(import_directory, "write", import_another_first)
    with pytest.raises(Exception, match="TransactionCanceledException"):
        load({"accounts": [make_account("globex", "ada@example.com")]})
    assert find_sign_ins(dynamodb) == {"ada@example.com": "acme"}


def test_a_document_may_have_5_mb_of_compact_json(dynamodb: DynamoDBClient) -> None:
    account = make_account("acme") | {"callerIds": [f"+1{number:07}" for number in range(430_000)]}
    text = json.dumps({"accounts": [account]}, separators=(",", ":"))
    assert 4.8e6 < len(text) < 5 * 1024 * 1024 < len(json.dumps({"accounts": [account]}))
    account["callerIds"].append("none")
    assert [path for path, _ in import_errors({"accounts": [account]})] == ["accounts[0].callerIds[430000]"]
    account["name"] = "x" * (5 * 1024 * 1024 - len(text))
    assert import_errors({"accounts": [account]}) == [("", "the document is larger than 5 MB")]
    assert scan(dynamodb) == {}


def load_with_a_crash(document: Document, crash_at: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Import a document, and crash at the write with this number. Return whether the import made so many writes."""
    writes = itertools.count()

    def crash_or(write: Callable[..., Any]) -> Callable[..., Any]:
        def call(**arguments: Any) -> Any:  # noqa: ANN401
            if next(writes) == crash_at:
                raise InterruptedError
            return write(**arguments)

        return call

    with monkeypatch.context() as patch:
        for operation in ("batch_write_item", "transact_write_items"):
            patch.setattr(import_directory.client, operation, crash_or(getattr(import_directory.client, operation)))
        try:
            load(document)
        except InterruptedError:
            return True
    return False


def test_an_interrupted_import_is_completed_by_running_it_again(
    dynamodb: DynamoDBClient, document: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    smaller = copy.deepcopy(document)
    del smaller["accounts"][0]["users"][3]  # guest
    smaller["accounts"][0]["users"][0]["email"] = "lovelace@example.com"
    smaller["accounts"][0]["customers"] = []
    load(smaller)
    expected = scan(dynamodb)

    for crash_at in itertools.count():
        load(document)
        crashed = load_with_a_crash(smaller, crash_at, monkeypatch)
        load(smaller)
        assert scan(dynamodb) == expected
        if not crashed:
            break
    assert crash_at == 4  # addresses deleted, entries deleted, entries put, addresses put


def test_a_sign_in_from_two_imports_at_once_can_be_deleted_by_the_next(
    dynamodb: DynamoDBClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_eve = {"accounts": [make_account("acme", "ada@example.com")]}
    write, calls = import_directory.write, itertools.count()

    def import_another_after_the_third_step(requests: list[Any]) -> None:
        write(requests)
        if next(calls) == 1:
            monkeypatch.setattr(import_directory, "write", write)
            load(without_eve)

    monkeypatch.setattr(import_directory, "write", import_another_after_the_third_step)
    load({"accounts": [make_account("acme", "ada@example.com", "eve@example.com")]})
    load(without_eve)
    assert find_sign_ins(dynamodb) == {"ada@example.com": "acme"}
    assert "errors" not in load({"accounts": [make_account("globex", "eve@example.com")]})


def test_a_sign_in_of_an_interrupted_move_can_be_deleted_by_the_next_import(
    dynamodb: DynamoDBClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = [make_account("acme", "ada@example.com", "eve@example.com"), make_account("globex")]
    moved = [make_account("acme", "ada@example.com"), make_account("globex", "eve@example.com")]
    for crash_at in itertools.count():
        load({"accounts": both})
        crashed = load_with_a_crash({"accounts": moved}, crash_at, monkeypatch)
        load({"accounts": moved[:1]})
        assert find_sign_ins(dynamodb).get("eve@example.com") == (None if crashed else "globex")
        if not crashed:
            break
    assert crash_at == 3


def test_an_address_that_returns_during_an_import_ends_in_one_account(
    dynamodb: DynamoDBClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_globex = [make_account("acme"), make_account("globex", "eve@example.com")]
    load({"accounts": in_globex})
    find_keys = import_directory.find_keys

    def find_keys_while_the_address_is_free(account: Any) -> list[Any]:  # noqa: ANN401
        monkeypatch.setattr(import_directory, "find_keys", find_keys)
        load({"accounts": [make_account("acme"), make_account("globex")]})
        keys = list(find_keys(account))
        load({"accounts": in_globex})
        return keys

    monkeypatch.setattr(import_directory, "find_keys", find_keys_while_the_address_is_free)
    load({"accounts": [make_account("acme", "eve@example.com"), make_account("globex")]})
    assert {key for key in scan(dynamodb) if "eve@example.com" in "".join(key)} == {
        ("ACCOUNT#acme", "EMAIL#eve@example.com"),
        ("EMAIL#eve@example.com", "SIGN_IN"),
    }


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("code", ["ThrottlingError", "ProvisionedThroughputExceeded", "TransactionConflict"])
def test_a_throttled_or_conflicting_transaction_is_retried(
    dynamodb: DynamoDBClient, document: Document, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    transact, calls = import_directory.client.transact_write_items, itertools.count()

    def refuse_first(**arguments: Any) -> Any:  # noqa: ANN401
        if next(calls) == 0:
            reasons = [{"Code": "None"}, {"Code": code}]
            content: Any = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}
            raise import_directory.client.exceptions.TransactionCanceledException(content, "TransactWriteItems")
        return transact(**arguments)

    monkeypatch.setattr(import_directory.client, "transact_write_items", refuse_first)
    assert load(document)["put"] == len(scan(dynamodb)) == 25
    assert next(calls) == 2


def test_a_sign_in_of_another_account_is_never_deleted(dynamodb: DynamoDBClient) -> None:
    load({"accounts": [make_account("acme", "eve@example.com")]})
    dynamodb.update_item(
        TableName="directory",
        Key={"pk": {"S": "EMAIL#eve@example.com"}, "sk": {"S": "SIGN_IN"}},
        UpdateExpression="SET accountId = :account",
        ExpressionAttributeValues={":account": {"S": "globex"}},
    )
    with pytest.raises(Exception, match="TransactionCanceledException"):
        load({"accounts": [make_account("acme")]})
    assert find_sign_ins(dynamodb) == {"eve@example.com": "globex"}


def test_errors_after_the_first_1000_are_counted(dynamodb: DynamoDBClient) -> None:
    account = make_account("acme") | {"callerIds": ["+1"] * 1500}
    errors = import_errors({"accounts": [account]})
    assert len(errors) == 1001
    assert errors[-1] == ("", "and 500 more")
    assert scan(dynamodb) == {}


@pytest.mark.usefixtures("no_pauses")
def test_unprocessed_items_and_keys_are_retried(
    dynamodb: DynamoDBClient, document: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, read = import_directory.client.batch_write_item, import_directory.client.batch_get_item
    calls = itertools.count()

    def write_some(RequestItems: dict[str, list[Any]]) -> Any:  # noqa: ANN401, N803
        requests = RequestItems["directory"]
        size = next(calls) % 3 * 3  # none of them, then 3, then 6
        if size:
            write(RequestItems={"directory": requests[:size]})
        return {"UnprocessedItems": {"directory": requests[size:]} if requests[size:] else {}}

    def read_some(RequestItems: dict[str, Any]) -> Any:  # noqa: ANN401, N803
        table_keys = RequestItems["directory"]
        response = read(RequestItems={"directory": table_keys | {"Keys": table_keys["Keys"][:2]}})
        rest = table_keys["Keys"][2:]
        return {
            "Responses": response["Responses"],
            "UnprocessedKeys": {"directory": table_keys | {"Keys": rest}} if rest else {},
        }

    monkeypatch.setattr(import_directory.client, "batch_write_item", write_some)
    monkeypatch.setattr(import_directory.client, "batch_get_item", read_some)
    load(document)
    assert len(scan(dynamodb)) == 25


@pytest.mark.usefixtures("no_pauses")
def test_an_import_ends_if_everything_stays_unprocessed(
    dynamodb: DynamoDBClient, document: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        import_directory.client,
        "batch_write_item",
        lambda RequestItems: {"UnprocessedItems": RequestItems},  # noqa: N803
    )
    with pytest.raises(TimeoutError, match="run it again"):
        load(document)
    assert find_sign_ins(dynamodb) == {}


def test_a_large_document_is_imported_completely(dynamodb: DynamoDBClient) -> None:
    account = make_account("acme", *(f"u{number}@example.com" for number in range(120)))
    assert load({"accounts": [account]}) == {"accounts": 1, "put": 1 + 240 + 120, "deleted": 0}
    assert len(scan(dynamodb)) == 361


def test_a_user_whose_claims_would_not_fit_into_a_token_is_refused(dynamodb: DynamoDBClient) -> None:
    account = make_account("a" * 128, "x" * 128 + "@example.com")
    account["name"] = "\U0001f3a7" * 200
    account["users"][0] |= {"name": "\U0001f3a7" * 64}
    message = "ids and names are too long together for the claims of a token"
    assert "errors" not in load({"accounts": [account]})
    account["users"][0] |= {"name": "\U0001f3a7" * 256}
    assert import_errors({"accounts": [account]}) == [("accounts[0].users[0]", message)]
    assert len(scan(dynamodb)) == 4
