"""HTTP: identity, the body, binding, and the shape of replies."""

import base64
import itertools
import json
from typing import Any

import pytest
from conftest import make_event

from sessions import api, binding, wire
from sessions.errors import ERRORS, FieldError, ServiceError
from sessions.models import NewSession


def refusal(event: dict[str, Any]) -> str:
    """The error code with which an event's caller or body is refused."""
    try:
        authentication.authenticate(event)
        parsing.read_body(event)
    except ServiceError as error:
        return error.code
    pytest.fail("not refused")


def bind_field(name: str, value: object) -> FieldError | None:
    """The error of a request with one field, None if it is accepted."""
    request, errors = parsing.parse_request({name: value})
    assert name not in request.model_dump(exclude_unset=True, by_alias=True) or not errors
    return errors[0] if errors else None


# ------------------------------------------------------------------------------------------------------------ identity


def test_the_caller_is_what_the_claims_say() -> None:
    caller = authentication.authenticate(make_event())
    assert (caller.user_id, caller.account_id, caller.account_name) == ("ada", "acme", "Acme Corp")
    assert (caller.name, caller.email) == ("Ada Lovelace", "ada@example.com")
    assert (caller.endpoint_id, caller.endpoint_name) == ("ep-ada", "Ada's desk")


@pytest.mark.parametrize("context", [None, {}, {"authorizer": None}, {"authorizer": {}}, {"authorizer": {"jwt": None}}])
def test_an_event_without_claims_is_unauthorized(context: object) -> None:
    assert refusal({"requestContext": context}) == "Unauthorized"
    assert refusal({}) == "Unauthorized"


@pytest.mark.parametrize(
    "groups",
    ["[User]", "[User Admin]", "[Admin User]", "User"],
)
def test_the_role_user_is_found_in_either_claim(groups: str) -> None:
    assert authentication.authenticate(make_event(**{"cognito:groups": groups})).user_id == "ada"
    assert authentication.authenticate(make_event(**{"cognito:groups": None, "roles": groups})).user_id == "ada"


@pytest.mark.parametrize(
    "groups",
    [None, "", "[]", "[ ]", "user", "[user]", "[USER]", "Users", "[SuperUser]", "[User-Admin]", "[[User] x]",
     "User Admin", "[User", "User]", "[Admin,User]", '["User"]', "[User\u00a0]"],
)  # fmt: skip
def test_no_other_spelling_of_the_role_will_do(groups: str | None) -> None:
    assert refusal(make_event(**{"cognito:groups": groups})) == "Forbidden"
    assert refusal(make_event(**{"cognito:groups": None, "roles": groups})) == "Forbidden"


@pytest.mark.parametrize("claim", ["account_id", "user_id"])
@pytest.mark.parametrize("value", [None, ""])
def test_a_caller_without_account_or_user_is_forbidden(claim: str, value: str | None) -> None:
    assert refusal(make_event(**{claim: value})) == "Forbidden"


@pytest.mark.parametrize("account", ["acme#0123", "#", "a" * 129])
def test_an_account_that_could_name_another_ones_key_is_forbidden(account: str) -> None:
    assert refusal(make_event(account_id=account)) == "Forbidden"


# ------------------------------------------------------------------------------------------------------------- the body


@pytest.mark.parametrize("body", [None, "", "{}", " \n{} ", "\ufeff{}"])
def test_an_empty_body_is_an_empty_object(body: str | None) -> None:
    assert parsing.read_body(make_event(body)) == {}


def test_a_base64_body_is_decoded() -> None:
    event = make_event(base64.b64encode('{"displayName":"Zoë"}'.encode()).decode())
    assert parsing.read_body(event | {"isBase64Encoded": True}) == {"displayName": "Zoë"}


@pytest.mark.parametrize(
    "body",
    ["x", "{", "[]", "1", '"a"', "null", "true", '{"a":NaN}', '{"a":Infinity}', '{"a":"\\ud800"}', '{"a":1}}',
     "{'a':1}", '{"a":"\ud800"}', "[" * 5000],
)  # fmt: skip
def test_a_body_that_is_no_json_object_is_refused(body: str) -> None:
    assert refusal(make_event(body)) == "SerializationException"


@pytest.mark.parametrize("data", [b"\xff", b'{"displayName":"\xff"}', b'{"a":"\xed\xa0\x80"}', "{}".encode("utf-16")])
def test_a_body_that_is_not_utf_8_is_refused(data: bytes) -> None:
    event = make_event(base64.b64encode(data).decode()) | {"isBase64Encoded": True}
    assert refusal(event) == "SerializationException"


def test_a_body_that_is_not_the_base64_it_claims_to_be_is_refused() -> None:
    assert refusal(make_event("{}") | {"isBase64Encoded": True}) == "SerializationException"


def test_a_body_of_64_kb_is_read_and_a_longer_one_is_refused() -> None:
    body = json.dumps({"unknown": "x" * (64 * 1024 - 15)})
    assert len(body) == 64 * 1024
    assert "unknown" in parsing.read_body(make_event(body))
    assert refusal(make_event(body + " ")) == "RequestTooLarge"


def test_the_size_of_a_body_is_counted_in_bytes() -> None:
    assert refusal(make_event(json.dumps({"unknown": "é" * 40_000}, ensure_ascii=False))) == "RequestTooLarge"


# -------------------------------------------------------------------------------------------------------------- binding


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("channel", ["Voice", "Chat", "Fax"]),
        ("direction", ["Incoming", "Outgoing"]),
        ("callState", ["Disconnected", "Ringing", "Connected", "Hold", "Passive"]),
    ],
)
def test_every_value_of_an_enum_is_accepted_in_any_casing_and_another_is_refused(name: str, values: list[str]) -> None:
    for value in values:
        for casing in (value, value.lower(), value.upper()):
            request, errors = parsing.parse_request({name: casing})
            assert (request.model_dump(by_alias=True)[name], errors) == (value, [])
    wrong: object
    for wrong in ("", "None", " Voice", "Voice ", "x", 1, True, [], {}):
        error = bind_field(name, wrong)
        assert error
        assert (error.code, error.field) == ("InvalidEnum", name)
        assert all(value in error.message for value in values)


@pytest.mark.parametrize("name", [*parsing.FIELD_NAMES.values()])
def test_null_is_absent(name: str) -> None:
    request, errors = parsing.parse_request({name: None})
    assert (request, errors, request.model_fields_set) == (NewSession(), [], set())


def test_keys_match_in_any_casing_and_unknown_ones_are_ignored() -> None:
    request, errors = parsing.parse_request(
        {"DisplayName": "a", "FROMNAME": "b", "id": "x", "accountId": "globex", "display_name": "c"}
    )
    assert (request, errors) == (NewSession(display_name="a", from_name="b"), [])


@pytest.mark.parametrize("second", ["y", None])
def test_a_key_in_two_casings_is_refused(second: str | None) -> None:
    _, errors = parsing.parse_request({"displayName": "x", "DisplayName": second})
    assert [(error.code, error.field) for error in errors] == [("Duplicate", "displayName")]


@pytest.mark.parametrize(
    ("name", "limit"),
    [("displayName", 256), ("fromName", 256), ("fromAddress", 320), ("toAddress", 320), ("parentSessionId", 128),
     ("customerId", 128), ("destination", 512)],
)  # fmt: skip
def test_a_string_may_have_its_limit_and_no_more_and_no_control_characters(name: str, limit: int) -> None:
    assert bind_field(name, "é" * limit) is None
    assert bind_field(name, "é" * (limit + 1)) == FieldError("TooLong", name, f"must have at most {limit} characters")
    for character in "\x00\t\n\r\x1f\x7f\x80\x9f\ufffe\uffff":
        error = bind_field(name, f"a{character}")
        assert error
        assert (error.code, error.field) == ("InvalidFormat", name)
        assert "control characters" in error.message
    wrong: object
    for wrong in (1, True, [], {}):
        assert bind_field(name, wrong) == FieldError("InvalidType", name, "must be a string")


@pytest.mark.parametrize("name", ["displayName", "fromName", "fromAddress", "toAddress", "destination"])
def test_an_empty_string_is_a_value(name: str) -> None:
    assert bind_field(name, "") is None


@pytest.mark.parametrize("name", ["parentSessionId", "customerId"])
def test_an_id_is_not_empty(name: str) -> None:
    error = bind_field(name, "")
    assert error
    assert error.code == "InvalidFormat"


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("fromPhoneNumber", ["+15550100001", "+12", "+123456789012345"],
         ["", "15550100001", "+05550100001", "+1", "+1234567890123456", "+1555 010", "+1555\n", "+١٢٣٤"]),
        ("withAddress", ["user:bob", "team:support", "user:" + "x" * 128, "user:a:b"],
         ["", "bob", "user:", "team:", "User:bob", "queue:x", " user:bob", "user:a\n"]),
    ],
)  # fmt: skip
def test_a_format_is_kept(name: str, good: list[str], bad: list[str]) -> None:
    for value in good:
        assert bind_field(name, value) is None
    for value in bad:
        error = bind_field(name, value)
        assert error
        assert (error.code, error.field) == ("InvalidFormat", name)


def test_a_with_address_is_not_longer_than_an_id_allows() -> None:
    error = bind_field("withAddress", "user:" + "x" * 129)
    assert error
    assert error.code == "TooLong"


def test_members_are_email_addresses_and_an_error_names_the_entry() -> None:
    addresses = ["bob@example.com", "bob", "a b@example.com", "a@b@c", "", None, 1, "x" * 320 + "@example.com"]
    _, errors = parsing.parse_request({"memberEmailAddresses": addresses})
    assert [(error.field, error.code) for error in errors] == [
        ("memberEmailAddresses[1]", "InvalidFormat"),
        ("memberEmailAddresses[2]", "InvalidFormat"),
        ("memberEmailAddresses[3]", "InvalidFormat"),
        ("memberEmailAddresses[4]", "InvalidFormat"),
        ("memberEmailAddresses[5]", "InvalidType"),
        ("memberEmailAddresses[6]", "InvalidType"),
        ("memberEmailAddresses[7]", "TooLong"),
    ]


def test_members_are_a_list_of_at_most_95_entries() -> None:
    assert bind_field("memberEmailAddresses", ["a@b.c"] * 95) is None
    assert bind_field("memberEmailAddresses", ["a@b.c"] * 96) == FieldError(
        "TooMany", "memberEmailAddresses", "must have at most 95 entries"
    )
    assert bind_field("memberEmailAddresses", "a@b.c") == FieldError(
        "InvalidType", "memberEmailAddresses", "must be a list"
    )


@pytest.mark.parametrize(("value", "meaning"), [(True, True), (False, False), ("true", True), ("False", False)])
def test_start_session_is_a_boolean_or_its_spelling(value: object, meaning: bool) -> None:  # noqa: FBT001
    assert parsing.parse_request({"startSession": value}) == (NewSession(start_session=meaning), [])


@pytest.mark.parametrize("value", ["", "yes", "1", 1, 0, [], {}])
def test_nothing_else_is_a_boolean(value: object) -> None:
    assert bind_field("startSession", value) == FieldError("InvalidType", "startSession", "must be true or false")


def test_the_valid_fields_are_bound_whatever_is_wrong_with_the_others() -> None:
    request, errors = parsing.parse_request(
        {"displayName": "a", "channel": "x", "fromName": 1, "memberEmailAddresses": ["x", "a@b.c"]}
    )
    assert request == NewSession(display_name="a")
    assert [error.field for error in errors] == ["channel", "fromName", "memberEmailAddresses[0]"]


# ---------------------------------------------------------------------------------------------------------- negotiation

# Whether a client that sends this Accept takes JSON; None is a request without the header.
ACCEPT = {
    None: True,
    "": True,
    " ": True,
    "*/*": True,
    "*": True,
    "application/json": True,
    "Application/JSON": True,
    "application/json; charset=utf-8": True,
    "application/*": True,
    "text/html, application/json;q=0.9": True,
    "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8": True,
    "application/json;q=0.001": True,
    "*/*;q=0, application/json": True,
    "application/*;q=0, application/json;q=0.1": True,
    ", application/json ,": True,
    "nonsense": True,
    "text/html": False,
    "application/xml": False,
    "text/*": False,
    "application/jsonx": False,
    "application/json;q=0": False,
    "application/json;q=0.000, */*": False,
    "application/json; q=0, application/*;q=1, */*;q=1": False,
    "application/*;q=0, */*": False,
    "*/*;q=0": False,
}
# Of those that exclude JSON, the ones that take the scripts that JSONP replies are.
TAKES_SCRIPTS = {"application/json;q=0.000, */*", "application/json; q=0, application/*;q=1, */*;q=1"}
PATHS = {"/sessions": None, "/api/NewSession": None, "/sessions.json": True, "/api/NewSession.json": True,
         "/json/reply/NewSession": True, "/sessions/0123": None, "/sessions/0123.json": True}  # fmt: skip
FORMATS = {None: None, "": None, "json": True, "JSON": True, "xml": False, "csv": False, "json,json": False}
CALLBACKS = [None, "cb"]


def make_negotiation(accept: str | None, path: str, reply_format: str | None, callback: str | None) -> dict[str, Any]:
    """A create that asks for its reply in this way. None leaves the header or the parameter out."""
    event = make_event({}) | {"rawPath": path}
    query = {"format": reply_format, "callback": callback}
    event["queryStringParameters"] = {name: value for name, value in query.items() if value is not None} or None
    event["headers"] = {} if accept is None else {"accept": accept}
    return event


@pytest.mark.parametrize("accept", ACCEPT)
def test_format_wins_over_the_path_which_wins_over_accept(accept: str | None) -> None:
    for path, reply_format, callback in itertools.product(PATHS, FORMATS, CALLBACKS):
        acceptable = ACCEPT[accept] or (callback is not None and accept in TAKES_SCRIPTS)
        choices = (FORMATS[reply_format], PATHS[path], acceptable)
        event = make_negotiation(accept, path, reply_format, callback)
        if next(takes for takes in choices if takes is not None):
            negotiation.check_acceptable(event)
        else:
            with pytest.raises(ServiceError, match="NotAcceptable"):
                negotiation.check_acceptable(event)


@pytest.mark.parametrize("accept", ["application/javascript", "text/html, application/javascript;q=0.1"])
def test_a_client_that_takes_scripts_takes_jsonp_and_only_that(accept: str) -> None:
    negotiation.check_acceptable(make_negotiation(accept, "/sessions", None, "cb"))
    with pytest.raises(ServiceError, match="NotAcceptable"):
        negotiation.check_acceptable(make_negotiation(accept, "/sessions", None, None))


def test_an_event_without_headers_or_query_takes_json() -> None:
    negotiation.check_acceptable({})
    negotiation.check_acceptable({"headers": None, "queryStringParameters": None, "rawPath": "/sessions"})


# ---------------------------------------------------------------------------------------------------------------- JSONP


@pytest.mark.parametrize(
    "name", ["cb", "myCallback", "$", "_", "jQuery1102_42", "angular.callbacks._0", "a.b.c", "a" * 128]
)
def test_a_callback_is_a_name_or_a_dotted_path_of_names(name: str) -> None:
    assert negotiation.read_callback({"queryStringParameters": {"callback": name}}) == name


@pytest.mark.parametrize(
    "name",
    ["", " ", "1", "a b", "a;b", "a()", "a(", "alert(1)//", "a.", ".a", "a..b", "a[0]", "a-b", "a\n", "a\nb", "é",
     "a,b", "</script>", "<script>", "a\u2028", "a\x00", "a=1", "a'b", "a/**/", "a" * 129],
)  # fmt: skip
def test_any_other_callback_is_refused(name: str) -> None:
    with pytest.raises(ServiceError) as caught:
        negotiation.read_callback({"queryStringParameters": {"callback": name}})
    assert (caught.value.code, [error.field for error in caught.value.errors]) == ("ValidationException", ["callback"])


def test_without_a_callback_there_is_none() -> None:
    assert negotiation.read_callback({}) is negotiation.read_callback({"queryStringParameters": {"format": "json"}}) is None


def test_a_jsonp_reply_is_a_call_of_the_callback_with_the_same_json() -> None:
    body = json.dumps({"a": "</script><!-- \u2028 \u2029 é 🎧 \\u003c"}, ensure_ascii=False)
    response = api.respond(200, body, "cb")
    script = response["body"]
    assert response["headers"]["Content-Type"] == "application/javascript"
    assert response["headers"]["X-Content-Type-Options"] == "nosniff"
    assert script.startswith("cb(")
    assert script.endswith(")")
    assert json.loads(script[3:-1]) == json.loads(body)
    assert script.isascii()
    assert "<" not in script


def test_an_error_is_wrapped_like_a_success() -> None:
    response = responses.respond_error(ServiceError("Forbidden"), "r", "a.b")
    assert response["statusCode"] == 403
    assert (
        json.loads(response["body"].removeprefix("a.b(").removesuffix(")"))["responseStatus"]["errorCode"]
        == "Forbidden"
    )


# -------------------------------------------------------------------------------------------------------------- replies


def test_every_reply_is_json_that_is_neither_cached_nor_sniffed() -> None:
    expected = {"Content-Type": "application/json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    for response in (api.respond(200, "{}"), responses.respond_error(ServiceError("Forbidden"), "r")):
        assert response["headers"] == expected


@pytest.mark.parametrize("code", ERRORS)
def test_every_error_has_its_status_its_message_and_the_request_id(code: str) -> None:
    response = responses.respond_error(ServiceError(code), "r-1")
    status = json.loads(response["body"])["responseStatus"]
    assert response["statusCode"] == ERRORS[code].status
    assert status == {"errorCode": code, "message": ERRORS[code].message, "errors": [], "meta": {"requestId": "r-1"}}
    assert ("Retry-After" in response["headers"]) == (code == "ServiceUnavailable")


def test_a_field_error_is_told_in_camel_case() -> None:
    error = ServiceError("ValidationException", errors=[FieldError("NotFound", "customerId", "is not known")])
    assert json.loads(responses.respond_error(error, "r")["body"])["responseStatus"]["errors"] == [
        {"errorCode": "NotFound", "fieldName": "customerId", "message": "is not known"}
    ]


ANYTHING: list[object] = [
    *(True, 3, -1, 0, 1e400, 1.5, 2**70, "", "x", "3", "true", "\x00", "x" * 10_000, "2026-11-22T08:22:44Z"),
    *("Voice", "Incoming", "Hold", "user:bob", "+15550100001", "bob@example.com"),
    *([], ["bob@example.com"], [3], [["x"]], {}, {"x": "y"}),
]


@pytest.mark.parametrize("name", parsing.FIELD_NAMES.values())
@pytest.mark.parametrize("value", ANYTHING, ids=range(len(ANYTHING)))
def test_a_value_of_a_field_is_refused_by_its_name_or_can_be_stored(name: str, value: object) -> None:
    request, errors = parsing.parse_request({name: value})
    if errors:
        assert all(error.field.partition("[")[0] == name and error.message for error in errors)
    else:
        attributes = request.model_dump(mode="json", exclude_unset=True)
        assert wire.from_wire(wire.to_wire(attributes)) == attributes
