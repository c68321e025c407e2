"""Negotiation: the format of a response, and the callback of JSONP."""

import itertools
from typing import Any

import pytest

from sessions.errors import ServiceError
from sessions.negotiation import check_acceptable, read_callback

# Whether a client that sends this Accept accepts JSON; None is a request without the header.
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
    "application/javascript": False,
    "text/html, application/javascript;q=0.1": False,
}
# Those of them that exclude JSON and accept scripts, so JSONP.
ACCEPT_SCRIPTS = {
    "application/json;q=0.000, */*",
    "application/json; q=0, application/*;q=1, */*;q=1",
    "application/javascript",
    "text/html, application/javascript;q=0.1",
}
PATHS = {"/sessions": None, "/api/NewSession": None, "/sessions.json": True, "/api/NewSession.json": True,
         "/json/reply/NewSession": True, "/sessions/0123": None, "/sessions/0123.json": True}  # fmt: skip
FORMATS = {None: None, "": None, "json": True, "JSON": True, "xml": False, "csv": False, "json,json": False}


def is_acceptable(event: dict[str, Any]) -> bool:
    """Return whether the client accepts the response."""
    try:
        check_acceptable(event)
    except ServiceError as error:
        return error.code != "NotAcceptable"
    return True


@pytest.mark.parametrize("accept", ACCEPT)
def test_format_overrides_the_path_which_overrides_accept(accept: str | None) -> None:
    for path, reply_format, callback in itertools.product(PATHS, FORMATS, [None, "cb"]):
        query = {"format": reply_format, "callback": callback}
        event = {
            "rawPath": path,
            "queryStringParameters": {name: value for name, value in query.items() if value is not None} or None,
            "headers": {} if accept is None else {"accept": accept},
        }
        by_accept = ACCEPT[accept] or (callback is not None and accept in ACCEPT_SCRIPTS)
        choices = (FORMATS[reply_format], PATHS[path], by_accept)
        assert is_acceptable(event) == next(choice for choice in choices if choice is not None), event


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
    ["", " ", "1", "a b", "a;b", "a()", "a(", "alert(1)//", "a.", ".a", "a..b", "a[0]", "a-b", "a\n", "a\nb", "é",
     "a,b", "</script>", "<script>", "a\u2028", "a\x00", "a=1", "a'b", "a/**/", "a" * 129],
)  # fmt: skip
def test_a_callback_that_could_be_a_script_is_refused(name: str) -> None:
    with pytest.raises(ServiceError) as caught:
        read_callback({"queryStringParameters": {"callback": name}})
    assert (caught.value.code, [error.field for error in caught.value.errors]) == ("ValidationException", ["callback"])


def test_a_request_without_a_callback_gets_plain_json() -> None:
    assert read_callback({}) is read_callback({"queryStringParameters": {"format": "json"}}) is None
