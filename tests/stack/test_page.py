"""The page to read and try the API, over HTTP and in a real browser.

The browser is Chromium with its driver, on Debian the package chromium-driver. `make screenshot` runs these tests too.
"""

import base64
import io
import json
import os
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urljoin

import pytest
import urllib3
from conftest import ROOT
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.expected_conditions import element_to_be_clickable
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait
from stack.conftest import Stack, run

CONTENT_TYPES = {
    "swagger-ui.min.css": "text/css; charset=utf-8",
    "swagger-ui-bundle.min.js": "text/javascript; charset=utf-8",
    "openapi.json": "application/json",
}
OPERATION = "#operations-sessions-createSession"
FOREIGN_HOST = "rebound.example"  # the browser resolves it to this machine, as after DNS rebinding


@pytest.fixture
def page(stack: Stack) -> str:
    """The page's address; requests from it carry a new token of ada."""
    return make_page(stack, "ada@example.com")


def make_page(stack: Stack, user: str) -> str:
    """Make the page again, as `make page USER=...` does, and return its address."""
    made = run(stack.state, "page", "--user", user)
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Chrome]:
    """A headless Chromium that records the requests and errors of its pages. Its files are in tmp_path."""
    driver = shutil.which("chromedriver")
    if not driver:
        pytest.skip("no browser: chromedriver is not to be found (on Debian, apt-get install chromium-driver)")
    options = ChromeOptions()
    options.add_argument("--headless=new")
    options.add_argument("--window-size=1200,2050")
    # Chromium resolves no other name, also not for its own services.
    rules = f"MAP {FOREIGN_HOST} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    options.add_argument(f"--host-resolver-rules={rules}")
    if os.geteuid() == 0:  # Chromium refuses to start its sandbox as root
        options.add_argument("--no-sandbox")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with Chrome(options, ChromeService(driver, env=os.environ | {"TMPDIR": str(tmp_path)})) as browser:
        yield browser


def find(browser: Chrome, selector: str) -> WebElement:
    """Return the element of a CSS selector, as soon as it can be clicked."""
    return WebDriverWait(browser, 30).until(element_to_be_clickable((By.CSS_SELECTOR, selector)))


def read_log(browser: Chrome, kind: str) -> list[str]:
    """Return the browser's log since the last call. The kind `browser` has the errors of pages."""
    return [entry["message"] for entry in browser.get_log(kind)]  # type: ignore[no-untyped-call]


def find_requests(browser: Chrome) -> set[str]:
    """Return the addresses that the browser requested since the last call, without images inside a page."""
    messages = [json.loads(message)["message"] for message in read_log(browser, "performance")]
    requests = [message["params"] for message in messages if message["method"] == "Network.requestWillBeSent"]
    return {each["request"]["url"] for each in requests if not each["request"]["url"].startswith("data:")}


def execute(browser: Chrome) -> tuple[str, Any]:
    """Send the request of the operation that the page shows, and return the reply that the page shows."""
    find(browser, f"{OPERATION} .execute").click()
    status = find(browser, f"{OPERATION} .live-responses-table tbody .response-col_status").text.split()[0]
    return status, json.loads(find(browser, f"{OPERATION} .live-responses-table .highlight-code code").text)


def test_the_page_and_all_that_it_names_are_served(page: str) -> None:
    html = urllib3.request("GET", page)
    assert (html.status, html.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    names = re.findall(r'(?:href|src|url)(?:=|: )"(?!data:)([^"]+)"', html.data.decode())
    replies = {name: urllib3.request("GET", urljoin(page, name)) for name in names}
    assert {name: reply.headers["Content-Type"] for name, reply in replies.items()} == CONTENT_TYPES
    assert {reply.status for reply in replies.values()} == {200}
    assert {reply.headers["Cache-Control"] for reply in [html, *replies.values()]} == {"no-store"}


def test_the_document_is_the_committed_one_with_the_local_server(stack: Stack, page: str) -> None:
    served = urllib3.request("GET", urljoin(page, "openapi.json")).json()
    committed = json.loads((ROOT / "docs/openapi.json").read_text())
    assert served == committed | {"servers": [{"url": stack.base_url}]}


def test_a_user_who_cannot_sign_in_gets_no_page(stack: Stack) -> None:
    refused = run(stack.state, "page", "--user", "nobody@example.com")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("nobody@example.com cannot sign in: ")


def test_the_page_shows_the_operations_without_a_complaint_and_without_anything_from_elsewhere(
    browser: Chrome, page: str
) -> None:
    browser.get(page)
    assert find(browser, f"{OPERATION} .opblock-summary").text.split("\n") == ["POST", "/sessions", "Create a session"]
    shown = {each.text for each in browser.find_elements(By.CLASS_NAME, "opblock-summary-path")}
    assert shown == set(json.loads((ROOT / "docs/openapi.json").read_text())["paths"])
    assert browser.find_elements(By.CLASS_NAME, "errors-wrapper") == []
    assert read_log(browser, "browser") == []
    assert find_requests(browser) == {page, *(urljoin(page, name) for name in CONTENT_TYPES)}


@pytest.mark.parametrize("user", ["ada", "bob"])
def test_a_request_from_the_page_creates_a_session_of_the_user_it_was_made_for(
    stack: Stack, token: str, browser: Chrome, user: str, pytestconfig: pytest.Config
) -> None:
    page = make_page(stack, f"{user}@example.com")
    browser.get(f"{page}#/sessions/createSession")
    examples = find(browser, f"{OPERATION} .opblock-section-request-body .examples-select-element")
    Select(examples).select_by_value("voice")
    rows = browser.find_elements(By.CSS_SELECTOR, f"{OPERATION} tr[data-param-name]")
    shown = [row.get_attribute("data-param-name") for row in rows if row.is_displayed()]
    assert shown == ["Idempotency-Key", "format", "callback"]  # and the fields in the body only
    status, session = execute(browser)
    screenshot: Path | None = pytestconfig.getoption("--screenshot")
    if screenshot and user == "ada":
        assert browser.save_screenshot(str(screenshot))
    assert status == "200"
    assert (session["createdBy"], session["channel"]) == (user, "Voice")
    assert stack.get(session["id"], token).json() == session
    assert read_log(browser, "browser") == []
    assert find_requests(browser) == {page, stack.url, *(urljoin(page, name) for name in CONTENT_TYPES)}


def test_a_session_can_be_ended_from_the_page(stack: Stack, token: str, browser: Chrome, page: str) -> None:
    session_id = stack.post({}, token).json()["id"]
    operation = "#operations-sessions-endSession"
    browser.get(f"{page}#/sessions/endSession")
    find(browser, f"{operation} [data-param-name=sessionId] input").send_keys(Keys.CONTROL, "a", Keys.NULL, session_id)
    find(browser, f"{operation} .execute").click()
    assert find(browser, f"{operation} .live-responses-table tbody .response-col_status").text.split()[0] == "204"
    assert stack.get(session_id, token).json()["ended"] is True


def test_another_token_can_be_pasted_into_the_page(stack: Stack, token: str, browser: Chrome) -> None:
    browser.get(f"{make_page(stack, 'guest@example.com')}#/sessions/createSession")
    status, refused = execute(browser)
    assert (status, refused["responseStatus"]["errorCode"]) == ("403", "Forbidden")
    find(browser, ".btn.authorize").click()
    find(browser, ".auth-container button[aria-label='Remove authorization']").click()
    find(browser, ".auth-container input").click()
    browser.execute_cdp_cmd("Input.insertText", {"text": token})  # at once: send_keys takes seconds
    find(browser, ".auth-container button[type=submit]").click()
    find(browser, ".auth-container .btn-done").click()
    find(browser, f"{OPERATION} .btn-clear").click()
    status, session = execute(browser)
    assert (status, session["createdBy"]) == ("200", "ada")


# ------------------------------------------------------------------------------------------------------------- attacks

ATTACK = """
const [endpoint, options, create, done] = arguments
const scope = "test/20261125/us-east-1/lambda/aws4_request"
const signature = `?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=${scope}&X-Amz-Signature=0`
const send = (path, body) =>
  fetch(endpoint + path + signature, {method: "POST", body: JSON.stringify(body), ...options})
send("/2015-03-31/functions", create)
  .then(() => send(`/2015-03-31/functions/${create.FunctionName}/invocations`, {}))
  .then(answer => done(answer.status), () => done("unreadable"))
"""
WITH_PREFLIGHT = {"headers": {"content-type": "application/json"}}
WITHOUT_PREFLIGHT = {"mode": "no-cors"}  # the browser sends the request at once, and hides the answer

type Attack = Callable[[str, dict[str, Any]], tuple[object, bool]]


@pytest.fixture
def attack(stack: Stack, browser: Chrome, tmp_path: Path) -> Attack:
    """A function that lets a page create and invoke a Lambda function. It returns the answer, and whether code ran."""
    proof = tmp_path / "proof"
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("attack.py", f"def handler(event, context): open({str(proof)!r}, 'w').close()")
    function = {
        "FunctionName": "attack",
        "Runtime": "python3.13",
        "Role": stack.function("SessionsFunction")["Role"],
        "Handler": "attack.handler",
        "Code": {"ZipFile": base64.b64encode(archive.getvalue()).decode()},
    }

    def attack(address: str, options: dict[str, Any]) -> tuple[object, bool]:
        browser.get(address)
        endpoint = stack.endpoint.replace("127.0.0.1", FOREIGN_HOST) if FOREIGN_HOST in address else stack.endpoint
        answer = browser.execute_async_script(ATTACK, endpoint, options, function)
        client = stack.client("lambda")
        created = "attack" in {each["FunctionName"] for each in client.list_functions()["Functions"]}
        assert created == proof.exists()
        if created:
            client.delete_function(FunctionName="attack")
            proof.unlink()
        return answer, created

    return attack


@pytest.fixture
def foreign_page(tmp_path: Path) -> Iterator[str]:
    """The address of a page on another port, and so of another origin."""
    (tmp_path / "index.html").write_text("<p>another origin</p>")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/index.html"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("options", [WITH_PREFLIGHT, WITHOUT_PREFLIGHT])
def test_a_page_of_another_origin_cannot_run_code_on_the_machine(
    page: str, foreign_page: str, attack: Attack, options: dict[str, Any]
) -> None:
    assert attack(page, options) == (200, True)  # the attack works from a page of the emulator itself
    answer, has_run = attack(foreign_page, options)
    assert not has_run
    assert answer in {"unreadable", 0}


def test_a_page_of_a_host_that_now_means_this_machine_cannot_run_code_or_read_the_token(
    page: str, browser: Chrome, attack: Attack
) -> None:
    assert attack(page.replace("127.0.0.1", FOREIGN_HOST), WITH_PREFLIGHT) == (403, False)
    assert browser.find_element(By.TAG_NAME, "body").text == "The local stack refuses other web pages and containers."
