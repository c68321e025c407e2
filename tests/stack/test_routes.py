"""Routes, CORS and errors of the gateway; content negotiation over HTTP."""

import json
from typing import Any

import pytest
from stack.conftest import Stack

SESSION = "/sessions/00000000000000000000000000000000"
OTHER_ROUTES = [
    *(("GET", path) for path in (SESSION, "/api/GetSession", "/api/GetSession.json", "/json/reply/GetSession")),
    *(("DELETE", path) for path in (SESSION, "/api/EndSession", "/api/EndSession.json", "/json/reply/EndSession")),
]
ROUTES = ["/sessions", "/sessions.json", "/api/NewSession", "/api/NewSession.json", "/json/reply/NewSession"]
DEV_SERVER = "http://localhost:5173"


def split(header: str) -> set[str]:
    return {item.strip().lower() for item in header.split(",")}


def preflight(stack: Stack, path: str, origin: str) -> Any:  # noqa: ANN401
    """Send the request of a browser before a POST, and return the headers of the response."""
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,idempotency-key",
    }
    return stack.send("OPTIONS", path, headers=headers).headers


@pytest.mark.parametrize("path", ROUTES)
def test_every_route_creates_a_session(stack: Stack, token: str, path: str) -> None:
    reply = stack.send("POST", path, '{"channel": "Fax"}', token)
    assert reply.status == 200
    assert (reply.json()["channel"], reply.json()["createdBy"]) == ("Fax", "ada")


@pytest.mark.parametrize(("method", "path"), OTHER_ROUTES)
def test_every_other_route_looks_for_its_session(stack: Stack, token: str, method: str, path: str) -> None:
    query = "" if path == SESSION else f"?SessionId={SESSION.rpartition('/')[2]}"
    reply = stack.send(method, path + query, token=token)
    assert (reply.status, reply.json()["responseStatus"]["errorCode"]) == (404, "NotFound")


@pytest.mark.parametrize(("method", "path"), [*(("POST", path) for path in ROUTES), *OTHER_ROUTES])
def test_no_route_accepts_a_request_without_a_token(stack: Stack, method: str, path: str) -> None:
    reply = stack.send(method, path)
    assert reply.status == 401
    assert reply.headers["Content-Type"] == "application/json"
    assert reply.json() == {"message": "Unauthorized"}


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/"), ("POST", "/session"), ("POST", "/sessions/"), ("POST", "/api/newsession"), ("GET", "/sessions")],
)
def test_the_gateway_answers_404_to_other_paths(stack: Stack, token: str, method: str, path: str) -> None:
    reply = stack.send(method, path, token=token)
    assert reply.status == 404
    assert reply.headers["Content-Type"] == "application/json"
    assert reply.json() == {"message": "Not Found"}


@pytest.mark.parametrize("path", ROUTES)
def test_a_web_page_of_a_configured_origin_may_post_with_credentials(stack: Stack, path: str) -> None:
    headers = preflight(stack, path, DEV_SERVER)
    assert headers["Access-Control-Allow-Origin"] == DEV_SERVER
    assert headers["Access-Control-Allow-Credentials"] == "true"
    assert split(headers["Access-Control-Allow-Methods"]) == {"delete", "get", "post"}
    assert split(headers["Access-Control-Allow-Headers"]) >= {"authorization", "content-type", "idempotency-key"}


@pytest.mark.parametrize("origin", ["https://example.com", "http://localhost:5174", "https://localhost:5173", "null"])
def test_a_web_page_of_another_origin_may_not_post(stack: Stack, origin: str) -> None:
    assert "Access-Control-Allow-Origin" not in preflight(stack, "/sessions", origin)


def test_a_web_page_can_read_the_reply_and_the_headers_that_clients_need(stack: Stack, token: str) -> None:
    reply = stack.send("POST", "/sessions", "{}", token, {"Origin": DEV_SERVER})
    assert reply.status == 200
    assert reply.headers["Access-Control-Allow-Origin"] == DEV_SERVER
    assert reply.headers["Access-Control-Allow-Credentials"] == "true"
    assert split(reply.headers["Access-Control-Expose-Headers"]) == {"idempotent-replayed", "retry-after"}


def test_the_api_has_the_cors_of_the_template(stack: Stack, template: dict[str, Any]) -> None:
    _, declared, _ = template["Resources"]["Api"]["Properties"]["CorsConfiguration"]["Fn::If"]
    deployed = stack.client("apigatewayv2").get_api(ApiId=stack.outputs()["ApiId"])["CorsConfiguration"]
    assert DEV_SERVER in deployed["AllowOrigins"]
    headers = template["Parameters"]["CorsHeaders"]["Default"].split(",")
    assert deployed == declared | {"AllowOrigins": deployed["AllowOrigins"], "AllowHeaders": headers}


@pytest.mark.parametrize(
    ("body", "status", "key"), [('{"displayName": "</script>☎"}', 200, "id"), ("[]", 400, "responseStatus")]
)
def test_a_callback_wraps_success_and_error(stack: Stack, token: str, body: str, status: int, key: str) -> None:
    reply = stack.send("POST", "/sessions?callback=app.show", body, token)
    assert reply.status == status
    assert reply.headers["Content-Type"] == "application/javascript"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert reply.data.isascii()
    assert b"<" not in reply.data
    call, content = reply.data.decode().removesuffix(")").split("(", 1)
    assert call == "app.show"
    assert key in json.loads(content)


@pytest.mark.parametrize(
    ("path", "accept", "status"),
    [
        ("/sessions", "text/html", 406),
        ("/sessions?format=csv", "application/json", 406),
        ("/sessions?format=json", "text/html", 200),
        ("/sessions.json", "text/html", 200),
        ("/json/reply/NewSession", "text/html", 200),
    ],
)
def test_a_format_in_the_url_has_priority_over_the_accept_header(
    stack: Stack, token: str, path: str, accept: str, status: int
) -> None:
    reply = stack.send("POST", path, "{}", token, {"Accept": accept})
    assert reply.status == status
    assert reply.headers["Content-Type"] == "application/json"
    error_code = reply.json().get("responseStatus", {}).get("errorCode")
    assert error_code == (None if status == 200 else "NotAcceptable")
