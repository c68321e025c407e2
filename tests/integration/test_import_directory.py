"""The import of directory documents, with a table in memory."""

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


def load(document: Document) -> dict[str, Any]:
    """What the import answers."""
    return handler(copy.deepcopy(document), CONTEXT)


def items(dynamodb: DynamoDBClient) -> dict[tuple[str, str], dict[str, Any]]:
    """All items of the directory table by key."""
    deserialize = TypeDeserializer().deserialize
    pages = dynamodb.get_paginator("scan").paginate(TableName="directory")
    found = [{name: deserialize(value) for name, value in item.items()} for page in pages for item in page["Items"]]
    return {(item["pk"], item["sk"]): item for item in found}


def refusals(document: Document) -> list[tuple[str, str]]:
    return [(error["path"], error["message"]) for error in load(document)["errors"]]


def make_account(account_id: str, *emails: str) -> dict[str, Any]:
    users = [{"id": email.partition("@")[0], "name": email, "email": email} for email in emails]
    return {"id": account_id, "name": account_id, "users": users}


def test_the_demo_directory_is_imported_and_counted(dynamodb: DynamoDBClient, document: Document) -> None:
    # 2 accounts, 5 users by id and by address, 1 team, 4 customers, 3 caller IDs; 5 sign-ins
    assert load(document) == {"accounts": 2, "put": 20 + 5, "deleted": 0}
    stored = items(dynamodb)
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


def test_an_import_may_be_repeated(dynamodb: DynamoDBClient, document: Document) -> None:
    load(document)
    before = items(dynamodb)
    assert load(document) == {"accounts": 2, "put": 25, "deleted": 0}
    assert items(dynamodb) == before


def test_what_a_document_omits_is_removed_from_the_accounts_that_it_names(
    dynamodb: DynamoDBClient, document: Document
) -> None:
    load(document)
    before = items(dynamodb)
    answer = load({"accounts": [make_account("acme", "ada@example.com")]})
    after = items(dynamodb)
    assert answer == {"accounts": 1, "put": 4, "deleted": 12}
    assert {key for key in after if "globex" not in key[0] and "dave" not in key[0]} == {
        ("ACCOUNT#acme", "ACCOUNT"),
        ("ACCOUNT#acme", "USER#ada"),
        ("ACCOUNT#acme", "EMAIL#ada@example.com"),
        ("EMAIL#ada@example.com", "SIGN_IN"),
    }
    assert {key: item for key, item in after.items() if "globex" in key[0]} == {
        key: item for key, item in before.items() if "globex" in key[0]
    }
    assert ("EMAIL#dave@example.com", "SIGN_IN") in after


def test_a_user_who_changes_the_address_signs_in_with_the_new_one_only(dynamodb: DynamoDBClient) -> None:
    load({"accounts": [make_account("acme", "ada@example.com")]})
    account = make_account("acme", "ada@example.com")
    account["users"][0]["email"] = "Lovelace@Example.com"
    load({"accounts": [account]})
    assert {key for key in items(dynamodb) if key[1] == "SIGN_IN"} == {("EMAIL#lovelace@example.com", "SIGN_IN")}


def test_an_address_moves_between_accounts_of_one_document(dynamodb: DynamoDBClient) -> None:
    load({"accounts": [make_account("acme", "ada@example.com", "bob@example.com"), make_account("globex")]})
    load({"accounts": [make_account("acme", "bob@example.com"), make_account("globex", "ada@example.com")]})
    stored = items(dynamodb)
    assert stored["EMAIL#ada@example.com", "SIGN_IN"]["accountId"] == "globex"
    assert ("ACCOUNT#acme", "EMAIL#ada@example.com") not in stored


def change(place: str, value: object) -> Callable[[Document], None]:
    """Sets what stands at a place such as `accounts.0.users.1.email`."""

    def apply(document: Document) -> None:
        *path, last = [int(step) if step.isdigit() else step for step in place.split(".")]
        target: Any = document
        for step in path:
            target = target[step]
        target[last] = value

    return apply


@pytest.mark.parametrize(
    ("apply", "path", "message"),
    [
        (change("accounts", []), "accounts", "at least 1"),
        (change("accounts.0.id", ""), "accounts[0].id", "pattern"),
        (change("accounts.0.id", "a#b"), "accounts[0].id", "pattern"),
        (change("accounts.1.id", "acme"), "accounts[1].id", "twice"),
        (change("accounts.0.userz", []), "accounts[0].userz", "not permitted"),
        (change("accounts.0.users.0.name", None), "accounts[0].users[0].name", "string"),
        (change("accounts.0.users.1.id", "ada"), "accounts[0].users[1].id", "twice"),
        (
            change("accounts.0.users.1.email", "ADA@example.com"),
            "accounts[0].users[1].email",
            "also the address of ada",
        ),
        (
            change("accounts.1.users.0.email", "ada@example.com"),
            "accounts[1].users[0].email",
            "also the address of ada",
        ),
        (change("accounts.0.users.1.email", "bob"), "accounts[0].users[1].email", "pattern"),
        (change("accounts.0.users.1.avatarUrl", "javascript:x"), "accounts[0].users[1].avatarUrl", "pattern"),
        (change("accounts.0.teams.0.userIds", ["bob", "dave"]), "accounts[0].teams[0].userIds[1]", "not a user"),
        (change("accounts.0.teams.0.userIds", ["bob", "bob"]), "accounts[0].teams[0].userIds[1]", "twice"),
        (change("accounts.0.teams.0.userIds", ["bob"] * 50), "accounts[0].teams[0].userIds", "at most 49"),
        (change("accounts.0.customers.2.parentId", "initech"), "accounts[0].customers[2].parentId", "not a customer"),
        (change("accounts.0.customers.0.parentId", "northwind"), "accounts[0].customers[0].parentId", "own ancestor"),
        (change("accounts.0.customers.1.id", "northwind"), "accounts[0].customers[1].id", "twice"),
        (change("accounts.0.callerIds.1", "+15550100001"), "accounts[0].callerIds[1]", "twice"),
        (change("accounts.0.callerIds.1", "15550100002"), "accounts[0].callerIds[1]", "pattern"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_a_bad_document_is_refused_whole(
    dynamodb: DynamoDBClient, document: Document, apply: Callable[[Document], None], path: str, message: str
) -> None:
    apply(document)
    errors = dict(refusals(document))
    assert message in errors[path]
    assert items(dynamodb) == {}


def test_all_errors_of_a_document_come_at_once(dynamodb: DynamoDBClient, document: Document) -> None:
    document["accounts"][0]["teams"][0]["userIds"] = ["x"]
    document["accounts"][1]["customers"][0]["parentId"] = "y"
    assert [path for path, _ in refusals(document)] == [
        "accounts[0].teams[0].userIds[0]",
        "accounts[1].customers[0].parentId",
    ]
    assert items(dynamodb) == {}


def test_a_loop_among_customers_is_told_of_each_of_them(dynamodb: DynamoDBClient, document: Document) -> None:
    document["accounts"][0]["customers"][0]["parentId"] = "northwind-emea"
    assert refusals(document) == [
        ("accounts[0].customers[0].parentId", "makes the customer its own ancestor"),
        ("accounts[0].customers[1].parentId", "makes the customer its own ancestor"),
        ("accounts[0].customers[2].parentId", f"puts the customer more than {DEPTH_MAX} levels down"),
    ]
    assert items(dynamodb) == {}


def test_customers_stand_at_most_50_levels_deep(dynamodb: DynamoDBClient) -> None:
    account = make_account("acme")
    account["customers"] = [{"id": "c0", "name": "C"}] + [
        {"id": f"c{level}", "name": "C", "parentId": f"c{level - 1}"} for level in range(1, DEPTH_MAX)
    ]
    assert "errors" not in load({"accounts": [account]})
    assert len(items(dynamodb)["ACCOUNT#acme", f"CUSTOMER#c{DEPTH_MAX - 1}"]["breadcrumb"]) == DEPTH_MAX
    account["customers"].append({"id": "low", "name": "C", "parentId": f"c{DEPTH_MAX - 1}"})
    assert [path for path, _ in refusals({"accounts": [account]})] == [f"accounts[0].customers[{DEPTH_MAX}].parentId"]


def test_an_address_of_an_account_that_the_document_does_not_name_is_refused(dynamodb: DynamoDBClient) -> None:
    load({"accounts": [make_account("acme", "ada@example.com")]})
    before = items(dynamodb)
    assert refusals({"accounts": [make_account("globex", "dave@example.com", "Ada@example.com")]}) == [
        ("accounts[0].users[1].email", "belongs to another account")
    ]
    assert items(dynamodb) == before


def test_an_address_that_another_import_takes_meanwhile_is_not_taken_back(
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
    assert items(dynamodb)["EMAIL#ada@example.com", "SIGN_IN"]["accountId"] == "acme"


def test_a_document_of_more_than_5_mb_is_refused(dynamodb: DynamoDBClient, document: Document) -> None:
    document["accounts"][0]["name"] = "x" * (5 * 1024 * 1024)
    assert refusals(document) == [("", "the document is larger than 5 MB")]
    assert items(dynamodb) == {}


def load_with_a_crash(document: Document, crash_at: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the import came so far as to its write with this number, at which it crashes."""
    writes = itertools.count()

    def crash_or(write: Callable[..., Any]) -> Callable[..., Any]:
        def call(**arguments: Any) -> Any:  # noqa: ANN401
            if next(writes) == crash_at:
                raise InterruptedError
            return write(**arguments)

        return call

    with monkeypatch.context() as patch:
        for operation in ("batch_write_item", "transact_write_items", "delete_item"):
            patch.setattr(import_directory.client, operation, crash_or(getattr(import_directory.client, operation)))
        try:
            load(document)
        except InterruptedError:
            return True
    return False


def test_an_import_that_was_interrupted_is_completed_by_running_it_again(
    dynamodb: DynamoDBClient, document: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    smaller = copy.deepcopy(document)
    del smaller["accounts"][0]["users"][3]  # guest
    smaller["accounts"][0]["users"][0]["email"] = "lovelace@example.com"
    smaller["accounts"][0]["customers"] = []
    load(smaller)
    expected = items(dynamodb)

    for crash_at in itertools.count():
        load(document)
        crashed = load_with_a_crash(smaller, crash_at, monkeypatch)
        load(smaller)
        assert items(dynamodb) == expected
        if not crashed:
            break
    assert crash_at == 4  # addresses deleted, entries deleted, entries put, addresses put


def import_in_between(document: Document, monkeypatch: pytest.MonkeyPatch) -> None:
    """Has another import run as a whole between the third and the fourth step of the next one."""
    write = import_directory.write
    calls = itertools.count()

    def write_then_import(requests: list[Any]) -> None:
        write(requests)
        if next(calls) == 1:
            monkeypatch.setattr(import_directory, "write", write)
            load(document)

    monkeypatch.setattr(import_directory, "write", write_then_import)


def test_of_two_imports_at_once_none_leaves_a_sign_in_that_the_next_cannot_find(
    dynamodb: DynamoDBClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = {"accounts": [make_account("acme", "ada@example.com")]}
    import_in_between(without, monkeypatch)
    load({"accounts": [make_account("acme", "ada@example.com", "eve@example.com")]})
    load(without)
    assert {key for key in items(dynamodb) if key[1] == "SIGN_IN"} == {("EMAIL#ada@example.com", "SIGN_IN")}
    assert "errors" not in load({"accounts": [make_account("globex", "eve@example.com")]})


def test_an_interrupted_move_between_accounts_leaves_no_sign_in_that_the_next_import_cannot_find(
    dynamodb: DynamoDBClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = [make_account("acme", "ada@example.com", "eve@example.com"), make_account("globex")]
    moved = [make_account("acme", "ada@example.com"), make_account("globex", "eve@example.com")]
    for crash_at in itertools.count():
        load({"accounts": both})
        crashed = load_with_a_crash({"accounts": moved}, crash_at, monkeypatch)
        load({"accounts": moved[:1]})
        owner = items(dynamodb).get(("EMAIL#eve@example.com", "SIGN_IN"), {}).get("accountId")
        assert owner == (None if crashed else "globex")
        if not crashed:
            break
    assert crash_at == 3


def test_an_address_that_comes_back_during_an_import_is_in_one_account(
    dynamodb: DynamoDBClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_globex = [make_account("acme"), make_account("globex", "eve@example.com")]
    load({"accounts": in_globex})
    find_keys = import_directory.find_keys

    def find_keys_while_it_is_away(account: Any) -> list[Any]:  # noqa: ANN401
        monkeypatch.setattr(import_directory, "find_keys", find_keys)
        load({"accounts": [make_account("acme"), make_account("globex")]})
        keys = list(find_keys(account))
        load({"accounts": in_globex})
        return keys

    monkeypatch.setattr(import_directory, "find_keys", find_keys_while_it_is_away)
    load({"accounts": [make_account("acme", "eve@example.com"), make_account("globex")]})
    assert {key for key in items(dynamodb) if "eve@example.com" in "".join(key)} == {
        ("ACCOUNT#acme", "EMAIL#eve@example.com"),
        ("EMAIL#eve@example.com", "SIGN_IN"),
    }


@pytest.mark.parametrize("code", ["ThrottlingError", "ProvisionedThroughputExceeded", "TransactionConflict"])
def test_a_transaction_that_is_throttled_or_in_the_way_of_another_is_sent_again(
    dynamodb: DynamoDBClient, document: Document, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    monkeypatch.setattr("directory.import_directory.time.sleep", lambda _: None)
    transact = import_directory.client.transact_write_items
    calls = itertools.count()

    def refuse_first(**arguments: Any) -> Any:  # noqa: ANN401
        if next(calls) == 0:
            reasons = [{"Code": "None"}, {"Code": code}]
            content: Any = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}
            raise import_directory.client.exceptions.TransactionCanceledException(content, "TransactWriteItems")
        return transact(**arguments)

    monkeypatch.setattr(import_directory.client, "transact_write_items", refuse_first)
    assert load(document)["put"] == len(items(dynamodb)) == 25
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
    assert items(dynamodb)["EMAIL#eve@example.com", "SIGN_IN"]["accountId"] == "globex"


def test_what_stays_is_never_deleted_in_between(dynamodb: DynamoDBClient, document: Document) -> None:
    load(document)
    removed: list[str] = []

    def note(params: dict[str, Any], **_: object) -> None:
        removed.extend(str(write) for write in params.get("TransactItems", []) if "Delete" in write)
        removed.extend(
            str(write) for write in params.get("RequestItems", {}).get("directory", []) if "DeleteRequest" in write
        )

    events = import_directory.client.meta.events
    events.register("provide-client-params.dynamodb", note)
    load(document)
    events.unregister("provide-client-params.dynamodb", note)
    assert (removed, len(items(dynamodb))) == ([], 25)


def test_more_errors_than_an_answer_can_hold_are_counted(dynamodb: DynamoDBClient) -> None:
    account = make_account("acme") | {"callerIds": ["+1"] * 1500}
    errors = refusals({"accounts": [account]})
    assert len(errors) == 1001
    assert errors[-1] == ("", "and 500 more")
    assert items(dynamodb) == {}


def test_a_lone_surrogate_is_an_error_with_its_place(dynamodb: DynamoDBClient) -> None:
    account = make_account("acme") | {"name": "\ud800"}
    assert [path for path, _ in refusals({"accounts": [account]})] == ["accounts[0].name"]
    assert items(dynamodb) == {}


def test_the_size_of_a_document_is_that_of_its_shortest_json(dynamodb: DynamoDBClient) -> None:
    account = make_account("acme") | {"callerIds": [f"+1{number:07}" for number in range(430_000)]}
    text = json.dumps({"accounts": [account]}, separators=(",", ":"))
    assert 4.8e6 < len(text) < 5 * 1024 * 1024 < len(json.dumps({"accounts": [account]}))
    account["callerIds"].append("none")
    assert [path for path, _ in refusals({"accounts": [account]})] == ["accounts[0].callerIds[430000]"]
    assert items(dynamodb) == {}


def test_what_dynamodb_hands_back_is_sent_again(
    dynamodb: DynamoDBClient, document: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("directory.import_directory.time.sleep", lambda _: None)
    write, read = import_directory.client.batch_write_item, import_directory.client.batch_get_item
    calls = iter(range(100))

    def write_some(RequestItems: dict[str, list[Any]]) -> Any:  # noqa: ANN401, N803
        requests = RequestItems["directory"]
        size = next(calls) % 3 * 3  # none of them, then 3, then 6
        if size:
            write(RequestItems={"directory": requests[:size]})
        return {"UnprocessedItems": {"directory": requests[size:]} if requests[size:] else {}}

    def read_some(RequestItems: dict[str, Any]) -> Any:  # noqa: ANN401, N803
        wanted = RequestItems["directory"]
        response = read(RequestItems={"directory": wanted | {"Keys": wanted["Keys"][:2]}})
        rest = wanted["Keys"][2:]
        return {
            "Responses": response["Responses"],
            "UnprocessedKeys": {"directory": wanted | {"Keys": rest}} if rest else {},
        }

    monkeypatch.setattr(import_directory.client, "batch_write_item", write_some)
    monkeypatch.setattr(import_directory.client, "batch_get_item", read_some)
    load(document)
    assert len(items(dynamodb)) == 25


def test_a_table_that_hands_everything_back_ends_the_import(
    dynamodb: DynamoDBClient, document: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("directory.import_directory.time.sleep", lambda _: None)
    monkeypatch.setattr(
        import_directory.client,
        "batch_write_item",
        lambda RequestItems: {"UnprocessedItems": RequestItems},  # noqa: N803
    )
    with pytest.raises(TimeoutError, match="run the import again"):
        load(document)
    assert not [key for key in items(dynamodb) if key[1] == "SIGN_IN"]


def test_a_large_document_is_written_in_full(dynamodb: DynamoDBClient) -> None:
    account = make_account("acme", *(f"u{number}@example.com" for number in range(120)))
    assert load(json.loads(json.dumps({"accounts": [account]}))) == {"accounts": 1, "put": 1 + 240 + 120, "deleted": 0}
    assert len(items(dynamodb)) == 361
