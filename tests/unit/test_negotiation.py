"""Negotiation: the format of a response, and the callback of JSONP."""

import itertools
from typing import Any

import pytest

from sessions.errors import ServiceError
from sessions.negotiation import check_acceptable, read_callback

# Values of the header Accept. None is a request without the header. SCRIPTS accept JSONP, but not JSON.
JSON = [None, "", " ", "*/*", "*", "application/json", "Application/JSON", "application/json; charset=utf-8",
        "application/*", "text/html, application/json;q=0.9", "application/json;q=0.001", "*/*;q=0, application/json",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "application/*;q=0, application/json;q=0.1",
        ", application/json ,", "nonsense"]  # fmt: skip
SCRIPTS = ["application/json;q=0.000, */*", "application/json; q=0, application/*;q=1, */*;q=1",
           "application/javascript", "text/html, application/javascript;q=0.1"]  # fmt: skip
OTHERS = ["text/html", "application/xml", "text/*", "application/jsonx", "application/json;q=0",
          "application/*;q=0, */*", "*/*;q=0"]  # fmt: skip
# The answer of a path and of `?format=`; None leaves the answer to the next one.
PATHS = {"/sessions": None, "/api/NewSession": None, "/sessions.json": True, "/api/NewSession.json": True,
         "/json/reply/NewSession": True, "/sessions/0123": None, "/sessions/0123.json": True}  # fmt: skip
FORMATS = {
    None: None,
    "": None,
    "json": True,
    "JSON": True,
    "xml": False,
    "csv": False,
}


def is_acceptable(event: dict[str, Any]) -> bool:
    """Return whether the client accepts the response."""
    try:
        check_acceptable(event)
    except ServiceError as error:
        return error.code != "NotAcceptable"
    return True


@pytest.mark.parametrize("accept", [*JSON, *SCRIPTS, *OTHERS])
def test_format_overrides_the_path_which_overrides_accept(accept: str | None) -> None:
    for path, reply_format, callback in itertools.product(PATHS, FORMATS, [None, "cb"]):
        query = {"format": reply_format, "callback": callback}
        event = {
            "rawPath": path,
            "queryStringParameters": {name: value for name, value in query.items() if value is not None} or None,
            "headers": {} if accept is None else {"accept": accept},
        }
        by_accept = accept in JSON or (bool(callback) and accept in SCRIPTS)
        choices = (FORMATS[reply_format], PATHS[path], by_accept)
        assert is_acceptable(event) == next(choice for choice in choices if choice is not None), event


@pytest.mark.parametrize("accept", ["text/json", "Text/JSON; charset=utf-8", "text/html, text/json;q=0.5"])
def test_an_older_servicestack_client_that_accepts_text_json_gets_json(accept: str) -> None:
    assert is_acceptable({"headers": {"accept": accept}})


@pytest.mark.parametrize(("formats", "acceptable"), [("json,json", True), ("json,xml", False), ("xml,json", False)])
def test_a_format_that_is_given_twice_is_accepted_if_both_are_json(formats: str, acceptable: bool) -> None:  # noqa: FBT001
    assert is_acceptable({"queryStringParameters": {"format": formats}}) is acceptable


def test_an_empty_callback_means_no_callback() -> None:
    assert read_callback({"queryStringParameters": {"callback": ""}}) is None


def test_a_request_without_headers_or_query_accepts_json() -> None:
    assert is_acceptable({})
    assert is_acceptable({"headers": None, "queryStringParameters": None, "rawPath": "/sessions"})


@pytest.mark.parametrize(
    "name", ["cb", "myCallback", "$", "_", "jQuery1102_42", "angular.callbacks._0", "a.b.c", "a" * 128]
)
def test_a_callback_is_a_name_or_a_dotted_path_of_names(name: str) -> None:
    assert read_callback({"queryStringParameters": {"callback": name}}) == name


@pytest.mark.parametrize(
    "name",
    [" ", "1", "a b", "a;b", "a()", "a(", "alert(1)//", "a.", ".a", "a..b", "a[0]", "a-b", "a\n", "a\nb", "é",
     "a,b", "</script>", "<script>", "a\u2028", "a\x00", "a=1", "a'b", "a/**/", "a" * 129],
)  # fmt: skip
def test_a_callback_that_could_be_a_script_is_refused(name: str) -> None:
    with pytest.raises(ServiceError) as caught:
        read_callback({"queryStringParameters": {"callback": name}})
    assert (caught.value.code, [error.field for error in caught.value.errors]) == ("ValidationException", ["callback"])


def test_a_request_without_a_callback_gets_plain_json() -> None:
    assert read_callback({}) is read_callback({"queryStringParameters": {"format": "json"}}) is None
