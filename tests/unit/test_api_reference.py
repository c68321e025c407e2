"""The tables of docs/api.md against the models, the rules and the table of errors, so that none can be untrue."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

import openapi
from sessions import binding, models, rules
from sessions.errors import ERRORS
from sessions.references import Person, References

PAGE = (ROOT / "docs/api.md").read_text()
SCHEMAS = openapi.make_document()["components"]["schemas"]

# Refers to something in each way there is, and breaks each rule about that if the account has nothing of it.
EVERY_FIELD = {
    "displayName": "Order 1042",
    "channel": "Voice",
    "direction": "Incoming",
    "callState": "Disconnected",
    "fromAddress": "support@example.com",
    "fromName": "Support",
    "toAddress": "zoe@example.com",
    "parentSessionId": "7c9f8a4be2a04c2f8c51d0d1f6a3e9b7",
    "customerId": "northwind",
    "withAddress": "user:bob",
    "fromPhoneNumber": "+15550100001",
    "destination": "5557654321",
    "memberEmailAddresses": ["carol@example.com", "nobody@example.com"],
    "startSession": True,
}
PEOPLE = [Person(f"user-{number}", "Somebody", "endpoint", "https://example.com/picture.png") for number in range(51)]


def tables(*columns: str) -> list[list[list[str]]]:
    """The rows of each table of the page whose first columns have these names."""
    header = re.escape("| " + " | ".join(columns) + " |")
    found = re.findall(rf"^{header}.*\n\|[-|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    return [[[cell.strip() for cell in row.split("|")[1:-1]] for row in rows.splitlines()] for rows in found]


[REQUEST] = tables("field", "type", "at most")
SESSION, MEMBER = tables("field", "type", "always")
[TYPES] = tables("type", "message")


def read_code(cell: str) -> list[str]:
    """What a cell has in code."""
    return re.findall("`([^`]+)`", cell)


def take_value(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a field's value, if it has one."""
    value: dict[str, Any] = schema.get("anyOf", [schema])[0]
    return value


def name_type(schema: dict[str, Any]) -> str:
    """The page's name for the type of a field with this schema."""
    value = take_value(schema)
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        *others, last = [f"`{each}`" for each in SCHEMAS[name].get("enum", [name])]
        return f"{', '.join(others)} or {last}" if others else last
    if "pattern" in value:
        [name] = [name for name, message in TYPES if message.replace("`", "") == models.FORMATS[value["pattern"]]]
        return name
    if "items" in value:
        return f"list ({name_type(value['items'])})"
    if "additionalProperties" in value:
        return f"object ({name_type(value['additionalProperties'])})"
    return str(value["type"] if isinstance(value["type"], str) else value["type"][0])


def name_limit(schema: dict[str, Any]) -> str:
    """What the page says that a field with this schema may have at most."""
    value = take_value(schema)
    if "maxItems" in value:
        return f"{value['maxItems']} entries of {value['items']['maxLength']}"
    return str(value.get("maxLength", ""))


def create(request: dict[str, Any], found: References) -> dict[str, Any]:
    """The session of ada's request, without the check of the rules."""
    bound, errors = parsing.parse_request(request)
    assert not errors
    session = rules.new_session(bound, openapi.ADA, found, openapi.SESSION_ID, datetime.now(UTC))
    return session.model_dump(mode="json", exclude_none=True)


def test_each_field_of_the_request_has_its_type_and_limit() -> None:
    fields = SCHEMAS["NewSession"]["properties"]
    assert [row[:3] for row in REQUEST] == [
        [f"`{name}`", name_type(schema), name_limit(schema)] for name, schema in fields.items()
    ]


def test_each_type_of_the_request_has_its_message() -> None:
    assert {message.replace("`", "") for _, message in TYPES} == set(models.FORMATS.values())


def test_each_default_is_what_a_field_has_that_is_not_sent() -> None:
    empty = create({}, References())
    properties = SCHEMAS["NewSession"]["properties"]
    for field, _, _, default, *_ in REQUEST:
        [name] = read_code(field)
        match default:
            case "":
                assert name not in empty
                assert "default" not in properties[name]
            case "the caller's email address":
                assert empty[name] == openapi.ADA.email
            case _:
                assert default == f"`{empty.get(name, str(properties[name].get('default')).lower())}`"


def test_each_field_that_the_rules_refuse_has_the_codes_they_refuse_it_with() -> None:
    assert set(EVERY_FIELD) == set(parsing.FIELD_NAMES.values()), "a value of each field is wanted"
    bound, errors = parsing.parse_request(EVERY_FIELD)
    assert not errors
    people = References(people={"carol@example.com": PEOPLE[0]}, correspondents=tuple(PEOPLE))
    refused = {
        (error.field.partition("[")[0], error.code)
        for found in (References(), people)
        for error in rules.check(bound, openapi.ADA, found)
    }
    assert refused == {(read_code(row[0])[0], code) for row in REQUEST for code in read_code(row[5])}


@pytest.mark.parametrize(("rows", "schema"), [(SESSION, "SessionInfo"), (MEMBER, "SessionMemberInfo")])
def test_each_field_of_a_reply_has_its_type_and_whether_it_is_always_there(rows: list[list[str]], schema: str) -> None:
    required = SCHEMAS[schema]["required"]
    assert [row[:3] for row in rows] == [
        [f"`{name}`", name_type(each), "yes" if name in required else ""]
        for name, each in SCHEMAS[schema]["properties"].items()
    ]


def test_later_is_what_no_new_session_has() -> None:
    found = References(
        customer=(models.CustomerBreadcrumb(id="northwind", name="Northwind"),), correspondents=tuple(PEOPLE[:1])
    )
    session = create(EVERY_FIELD, found)
    for rows, full in ((SESSION, session), (MEMBER, session["members"][1])):
        assert {read_code(row[0])[0] for row in rows if row[3] != "later"} == set(full)


def test_each_error_is_in_the_table_as_the_code_has_it() -> None:
    [rows] = tables("status", "errorCode", "when")
    assert rows == [[str(kind.status), code, kind.when] for code, kind in ERRORS.items()]


def test_each_code_of_a_field_error_is_there_and_no_other() -> None:
    sources = "".join((ROOT / f"functions/sessions/{name}.py").read_text() for name in ("binding", "rules"))
    raised = set(re.findall(r'FieldError\("(\w+)"', sources)) | {code for code, _ in parsing.FIELD_ERRORS.values()}
    [rows] = tables("errorCode", "when")
    assert {code for code, _ in rows} == raised


def test_each_path_is_there() -> None:
    assert {path for path in openapi.CREATE_PATHS if f"`{path}`" not in PAGE and f"`POST {path}`" not in PAGE} == set()


def test_each_link_leads_to_a_file_or_a_heading() -> None:
    headings = re.findall(r"^#+ (.*)", re.sub(r"^```.*?^```", "", PAGE, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    for link in re.findall(r"\]\(([^)]+)\)", PAGE):
        path, _, anchor = link.partition("#")
        assert link.startswith("https://") or (ROOT / "docs" / Path(path)).exists()
        assert path or anchor in anchors
