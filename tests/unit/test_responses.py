"""Responses: status, headers and body of a success and of each error."""

import json
from datetime import UTC, datetime

import pytest

from sessions import rules
from sessions.errors import ERRORS, FieldError, ServiceError
from sessions.models import NewSession
from sessions.references import Caller, References
from sessions.responses import Reply, respond, respond_error

CALLER = Caller("ada", "acme", None, "</script><!-- \u2028 \u2029 é 🎧 \\u003c", None, None, None)
SESSION = rules.new_session(NewSession(), CALLER, References(), "0" * 32, datetime.now(UTC))
HEADERS = {"Content-Type": "application/json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def test_a_success_is_json_without_absent_fields() -> None:
    response = respond(Reply("Created", SESSION))
    assert (response["statusCode"], response["headers"]) == (200, HEADERS)
    assert json.loads(response["body"]) == SESSION.model_dump(mode="json", exclude_none=True)


def test_only_a_replayed_session_is_marked_as_replayed() -> None:
    assert respond(Reply("Replayed", SESSION))["headers"] == HEADERS | {"Idempotent-Replayed": "true"}
    assert respond(Reply("Found", SESSION))["headers"] == HEADERS


def test_a_jsonp_response_calls_the_callback_with_the_same_json_in_safe_characters() -> None:
    response = respond(Reply("Created", SESSION), "cb")
    script = response["body"]
    assert response["headers"] == HEADERS | {"Content-Type": "application/javascript"}
    assert script.startswith("cb(")
    assert script.endswith(")")
    assert json.loads(script[3:-1]) == json.loads(respond(Reply("Created", SESSION))["body"])
    assert script.isascii()
    assert "<" not in script


def test_a_jsonp_error_calls_the_callback_as_well() -> None:
    response = respond_error(ServiceError("Forbidden"), "r", "a.b")
    body = json.loads(response["body"].removeprefix("a.b(").removesuffix(")"))
    assert (response["statusCode"], body["responseStatus"]["errorCode"]) == (403, "Forbidden")


@pytest.mark.parametrize("code", ERRORS)
def test_every_error_has_its_status_its_message_and_the_request_id(code: str) -> None:
    response = respond_error(ServiceError(code), "r-1")
    status = json.loads(response["body"])["responseStatus"]
    assert response["statusCode"] == ERRORS[code].status
    assert status == {"errorCode": code, "message": ERRORS[code].message, "errors": [], "meta": {"requestId": "r-1"}}
    assert response["headers"] == HEADERS | ({"Retry-After": "1"} if code == "ServiceUnavailable" else {})


def test_a_field_error_has_the_names_that_servicestack_clients_read() -> None:
    error = ServiceError("ValidationException", errors=[FieldError("NotFound", "customerId", "is not known")])
    assert json.loads(respond_error(error, "r")["body"])["responseStatus"]["errors"] == [
        {"errorCode": "NotFound", "fieldName": "customerId", "message": "is not known"}
    ]


def test_an_error_lists_at_most_100_field_errors_and_counts_the_others() -> None:
    errors = [FieldError("TooLong", f"memberEmailAddresses[{index}]", "is long") for index in range(103)]
    status = json.loads(respond_error(ServiceError("ValidationException", errors=errors), "r")["body"])[
        "responseStatus"
    ]
    assert len(status["errors"]) == 100
    assert status["message"] == "The request is not valid. 3 more field errors are not listed."
