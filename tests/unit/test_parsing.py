"""Parsing: the Idempotency-Key, the body and its fields."""

import base64
import itertools
import json
from typing import Any

import pytest
from conftest import make_event

from aws.wire import from_wire, to_wire
from sessions.errors import FieldError, ServiceError
from sessions.models import NewSession
from sessions.parsing import FIELD_NAMES, TEXT_FIELDS, parse_request, read_body, read_idempotency_key, read_request

FORM = "application/x-www-form-urlencoded; charset=UTF-8"


def make_create(route: str, body: str, content_type: str = "application/json", **query: str) -> dict[str, Any]:
    """Return a create with a body and a query string."""
    event = make_event(body) | {"routeKey": f"POST {route}", "queryStringParameters": query}
    event["headers"]["content-type"] = content_type
    return event


def refuse_body(event: dict[str, Any]) -> str:
    """Return the error code with which the body of an event is refused."""
    with pytest.raises(ServiceError) as caught:
        read_body(event)
    return caught.value.code


def find_error(name: str, value: object) -> FieldError | None:
    """Return the error of a request with one field; None if the value is valid."""
    request, errors = parse_request({name: value})
    assert name not in request.model_dump(exclude_unset=True, by_alias=True) or not errors
    return errors[0] if errors else None


def find_code(name: str, value: object) -> str | None:
    """Return the code of that error."""
    error = find_error(name, value)
    assert error is None or error.field == name
    return error.code if error else None


@pytest.mark.parametrize("key", ["k", "!", "~", '"quoted"', "8e03978e-40d5-43dd-bc93-6894a57f9324", "a,b", "x" * 255])
def test_a_key_of_visible_ascii_characters_is_read_unchanged(key: str) -> None:
    assert read_idempotency_key(make_event(key=key)) == (key, [])


@pytest.mark.parametrize("key", ["", " ", "a b", " a", "a\n", "a\t", "é", "\x7f", "x" * 256, "a\x00"])
def test_any_other_key_is_refused(key: str) -> None:
    accepted, [error] = read_idempotency_key(make_event(key=key))
    assert (accepted, error.field, error.code) == (None, "Idempotency-Key", "InvalidFormat")


def test_a_request_needs_no_key() -> None:
    assert read_idempotency_key(make_event()) == read_idempotency_key({}) == (None, [])


@pytest.mark.parametrize("body", [None, "", "{}", " \n{} ", "\ufeff{}"])
def test_an_empty_body_is_an_empty_object(body: str | None) -> None:
    assert read_body(make_event(body)) == {}


def test_a_base64_body_is_decoded() -> None:
    event = make_event(base64.b64encode('{"displayName":"Zoë"}'.encode()).decode())
    assert read_body(event | {"isBase64Encoded": True}) == {"displayName": "Zoë"}


@pytest.mark.parametrize("content_type", ["application/json", "text/plain;charset=UTF-8", "x", "text/xml", FORM])
def test_json_is_read_with_any_content_type(content_type: str) -> None:
    assert read_body(make_create("/sessions", '{"displayName": "a=b"}', content_type)) == {"displayName": "a=b"}


@pytest.mark.parametrize(
    "body",
    ["x", "{", "[]", "1", '"a"', "null", "true", '{"a":NaN}', '{"a":Infinity}', '{"a":"\\ud800"}', '{"a":1}}',
     "{'a':1}", '{"a":"\ud800"}', "[" * 5000],
)  # fmt: skip
def test_a_body_other_than_a_json_object_is_refused(body: str) -> None:
    assert refuse_body(make_event(body)) == "SerializationException"


@pytest.mark.parametrize("data", [b"\xff", b'{"displayName":"\xff"}', b'{"a":"\xed\xa0\x80"}', "{}".encode("utf-16")])
def test_a_body_in_another_encoding_than_utf_8_is_refused(data: bytes) -> None:
    event = make_event(base64.b64encode(data).decode()) | {"isBase64Encoded": True}
    assert refuse_body(event) == "SerializationException"


def test_a_body_with_invalid_base64_is_refused() -> None:
    assert refuse_body(make_event("{}") | {"isBase64Encoded": True}) == "SerializationException"


def test_a_body_has_at_most_64_kb_counted_in_bytes() -> None:
    body = json.dumps({"unknown": "x" * (64 * 1024 - 15)})
    assert len(body) == 64 * 1024
    assert "unknown" in read_body(make_event(body))
    assert refuse_body(make_event(body + " ")) == "RequestTooLarge"
    assert refuse_body(make_event(json.dumps({"unknown": "é" * 40_000}, ensure_ascii=False))) == "RequestTooLarge"


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("channel", ["Voice", "Chat", "Fax"]),
        ("direction", ["Incoming", "Outgoing"]),
        ("callState", ["Disconnected", "Ringing", "Connected", "Hold", "Passive"]),
    ],
)
def test_an_enum_accepts_its_values_in_any_casing_and_no_others(name: str, values: list[str]) -> None:
    for value in values:
        for casing in (value, value.lower(), value.upper()):
            request, errors = parse_request({name: casing})
            assert (request.model_dump(by_alias=True)[name], errors) == (value, [])
    wrong: object
    for wrong in ("None", " Voice", "Voice ", "x", 1, True, [], {}):
        error = find_error(name, wrong)
        assert error
        assert (error.code, error.field) == ("InvalidEnum", name)
        assert all(value in error.message for value in values)


@pytest.mark.parametrize("name", FIELD_NAMES.values())
def test_null_means_absent(name: str) -> None:
    request, errors = parse_request({name: None})
    assert (request, errors, request.model_fields_set) == (NewSession(), [], set())


def test_keys_match_in_any_casing_and_unknown_keys_are_ignored() -> None:
    body = {"DisplayName": "a", "FROMNAME": "b", "id": "x", "accountId": "globex", "display_name": "c"}
    assert parse_request(body) == (NewSession(display_name="a", from_name="b"), [])


def test_a_key_in_two_casings_is_refused() -> None:
    _, errors = parse_request({"displayName": "x", "DisplayName": "y", "DISPLAYNAME": "z"})
    assert [(error.code, error.field) for error in errors] == [("Duplicate", "displayName")]


@pytest.mark.parametrize(
    ("name", "limit"),
    [("displayName", 256), ("fromName", 256), ("fromAddress", 320), ("toAddress", 320), ("parentSessionId", 128),
     ("customerId", 128), ("destination", 512)],
)  # fmt: skip
def test_a_text_has_at_most_its_limit_and_no_control_characters(name: str, limit: int) -> None:
    assert find_error(name, "é" * limit) is None
    assert find_error(name, "é" * (limit + 1)) == FieldError("TooLong", name, f"must have at most {limit} characters")
    for character in "\x00\t\n\r\x1f\x7f\x80\x9f\ufffe\uffff":
        error = find_error(name, f"a{character}")
        assert error
        assert (error.code, error.field) == ("InvalidFormat", name)
        assert "control characters" in error.message
    wrong: object
    for wrong in (1, True, [], {}):
        assert find_error(name, wrong) == FieldError("InvalidType", name, "must be a string")


@pytest.mark.parametrize(
    ("name", "valid", "invalid"),
    [
        *((name, [""], []) for name in ("displayName", "fromName", "fromAddress", "toAddress", "destination")),
        *((name, ["x"], []) for name in ("parentSessionId", "customerId")),
        ("fromPhoneNumber", ["+15550100001", "+12", "+123456789012345"],
         ["15550100001", "+05550100001", "+1", "+1234567890123456", "+1555 010", "+1555\n", "+١٢٣٤"]),
        ("withAddress", ["user:bob", "team:support", "user:" + "x" * 128, "user:a:b"],
         ["bob", "user:", "team:", "User:bob", "queue:x", " user:bob", "user:a\n"]),
    ],
)  # fmt: skip
def test_a_text_in_another_format_is_refused(name: str, valid: list[str], invalid: list[str]) -> None:
    assert [find_code(name, value) for value in valid] == [None] * len(valid)
    assert [find_code(name, value) for value in invalid] == ["InvalidFormat"] * len(invalid)


def test_with_address_has_an_id_of_at_most_128_characters() -> None:
    assert find_code("withAddress", "user:" + "x" * 129) == "TooLong"


def test_members_are_email_addresses_and_an_error_names_the_entry() -> None:
    addresses = ["bob@example.com", "bob", "a b@example.com", "a@b@c", "", None, 1, "x" * 320 + "@example.com"]
    _, errors = parse_request({"memberEmailAddresses": addresses})
    codes = [*["InvalidFormat"] * 4, *["InvalidType"] * 2, "TooLong"]
    assert [(error.field, error.code) for error in errors] == [
        (f"memberEmailAddresses[{index}]", code) for index, code in enumerate(codes, start=1)
    ]


def test_members_are_a_list_of_at_most_95_entries() -> None:
    name = "memberEmailAddresses"
    assert find_error(name, ["a@b.c"] * 95) is None
    assert find_error(name, ["a@b.c"] * 96) == FieldError("TooMany", name, "must have at most 95 entries")
    assert find_error(name, "a@b.c") == FieldError("InvalidType", name, "must be a list")


@pytest.mark.parametrize(("value", "meaning"), [(True, True), (False, False), ("true", True), ("False", False)])
def test_start_session_is_a_boolean_or_its_text(value: object, meaning: bool) -> None:  # noqa: FBT001
    assert parse_request({"startSession": value}) == (NewSession(start_session=meaning), [])


@pytest.mark.parametrize("value", ["yes", "1", 1, 0, [], {}])
def test_any_other_boolean_is_refused(value: object) -> None:
    assert find_error("startSession", value) == FieldError("InvalidType", "startSession", "must be true or false")


def test_the_valid_fields_are_parsed_beside_the_errors_of_the_others() -> None:
    body = {"displayName": "a", "channel": "x", "fromName": 1, "memberEmailAddresses": ["x", "a@b.c"]}
    request, errors = parse_request(body)
    assert request == NewSession(display_name="a")
    assert [error.field for error in errors] == ["channel", "fromName", "memberEmailAddresses[0]"]


# No field accepts these: each text has a limit and a pattern, and each number a bound.
INVALID: list[object] = ["\x00", "x" * 10_000, 2**70, 1e400, [["x"]], {"x": 1}]
OTHERS: list[object] = [
    *(True, 3, -1, 0, 1.5, "", "x", "3", "true", "2026-11-22T08:22:44Z"),
    *("Voice", "Incoming", "Hold", "user:bob", "+15550100001", "bob@example.com"),
    *([], ["bob@example.com"], [3], {}, {"x": "y"}),
]


@pytest.mark.parametrize("name", FIELD_NAMES.values())
def test_every_invalid_value_has_an_error_and_every_other_can_be_stored(name: str) -> None:
    for value in INVALID + OTHERS:
        try:
            request, errors = parse_request({name: value})
        except KeyError as error:
            pytest.fail(f"FIELD_ERRORS in sessions/parsing.py lacks {error}, the error of {value!r} for {name}")
        assert all(error.field.partition("[")[0] == name and error.message for error in errors)
        assert errors or value not in INVALID, f"the type of {name} in sessions/models.py needs a bound or a pattern"
        attributes = request.model_dump(mode="json", exclude_unset=True)
        try:
            item = to_wire(attributes)
        except TypeError:
            pytest.fail(f"aws/wire.py cannot write {value!r}, a value of {name}")
        assert from_wire(item) == attributes, "aws/wire.py reads another value than it writes"


@pytest.mark.parametrize("name", sorted(set(FIELD_NAMES.values()) - TEXT_FIELDS))
def test_an_empty_string_means_absent_where_it_cannot_be_a_value(name: str) -> None:
    assert parse_request({name: ""}) == (NewSession(), [])


@pytest.mark.parametrize("absent", [None, ""])
def test_a_key_in_two_casings_is_accepted_if_one_of_them_is_absent(absent: str | None) -> None:
    for body in ({"channel": "Fax", "Channel": absent}, {"Channel": absent, "channel": "Fax"}):
        assert parse_request(body) == parse_request({"channel": "Fax"})


def test_thousands_of_casings_of_one_key_have_one_error() -> None:
    keys = ["".join(pair) for pair in itertools.product(*((each, each.upper()) for each in "customerid"))]
    _, errors = parse_request(dict.fromkeys(keys, "x"))
    assert [(error.code, error.field) for error in errors] == [("Duplicate", "customerId")]


ROUTES = ["/sessions", "/sessions.json", "/api/NewSession", "/api/NewSession.json", "/json/reply/NewSession"]


@pytest.mark.parametrize("route", ROUTES)
def test_a_field_in_the_query_string_or_a_form_is_bound(route: str) -> None:
    query = {"channel": "voice", "ToAddress": "+1555", "startSession": "True", "memberEmailAddresses": "a@b.c,d@e.f",
             "format": "json", "callback": "cb", "unknown": "x"}  # fmt: skip
    expected = parse_request({"channel": "Voice", "toAddress": "+1555", "startSession": True,
                              "memberEmailAddresses": ["a@b.c", "d@e.f"], "displayName": "x"})  # fmt: skip
    assert read_request(make_create(route, '{"displayName": "x"}', **query)) == expected
    form = "channel=voice&toAddress=%2B1555&startSession=true&memberEmailAddresses=a@b.c&memberEmailAddresses=d%40e.f"
    assert read_request(make_create(route, form + "&customerId=", FORM, displayName="x")) == expected


def test_a_wrong_field_of_a_query_string_has_the_same_error_as_in_a_body() -> None:
    query = {"channel": "Telex", "memberEmailAddresses": "a@b.c,x", "startSession": "2"}
    errors = parse_request({"channel": "Telex", "memberEmailAddresses": ["a@b.c", "x"], "startSession": "2"})[1]
    assert read_request(make_create("/sessions", "", **query))[1] == errors
    assert len(errors) == 3


@pytest.mark.parametrize("route", ROUTES)
def test_the_query_string_wins_over_json_on_sessions_and_the_body_wins_elsewhere(route: str) -> None:
    request, errors = read_request(make_create(route, '{"DisplayName": "body"}', displayName="query"))
    assert (request.display_name, errors) == ("query" if route.startswith("/sessions") else "body", [])
    request, errors = read_request(make_create(route, "displayName=body", FORM, displayName="query"))
    assert (request.display_name, errors) == ("body", [])


@pytest.mark.parametrize("form", [b"displayName=%FF", b"displayName=\xff"])
def test_a_form_in_another_encoding_than_utf_8_is_refused(form: bytes) -> None:
    event = make_create("/sessions", base64.b64encode(form).decode(), FORM) | {"isBase64Encoded": True}
    assert refuse_body(event) == "SerializationException"


@pytest.mark.parametrize(("encoding", "refused"), [("gzip", True), (" BR", True), ("identity", False), ("", False)])
def test_a_compressed_body_is_refused_by_name(encoding: str, refused: bool) -> None:  # noqa: FBT001
    event = make_event("{}")
    event["headers"]["content-encoding"] = encoding
    assert refuse_body(event) == "UnsupportedMediaType" if refused else read_body(event) == {}
