"""docs/openapi.json against the running service: Schemathesis makes requests up from it, valid ones and others.

Each answer must be one that the document allows: status, headers, content type and schema, and never a 5xx.
"""

import json
from typing import Any

import pytest
import schemathesis
from conftest import ROOT
from hypothesis import settings
from schemathesis.config import SchemathesisConfig
from stack.conftest import Stack

pytest_plugins = ["schemathesis.pytest.plugin"]
CONFIGURATION = {
    "generation": {"deterministic": True},
    "checks": {
        # Tolerant on purpose: any casing, "true", unknown keys, any Content-Type.
        "negative_data_rejection": {"enabled": False},
        # What a request refers to must be the account's: a well-formed customerId is a field error if it is not.
        "positive_data_acceptance": {"enabled": False},
        # A method without a route is the gateway's 404, for which HTTP API has no setting.
        "unsupported_method": {"enabled": False},
    },
}
DOCUMENT: dict[str, Any] = json.loads((ROOT / "docs/openapi.json").read_text())
SESSION_ID = DOCUMENT["components"]["parameters"]["sessionId"]["example"]
# One more example: without it, no request would refer to what the account has.
BODY = DOCUMENT["paths"]["/sessions"]["post"]["requestBody"]["content"]["application/json"]
BODY["examples"]["references"] = {
    "value": {
        "parentSessionId": SESSION_ID,
        "withAddress": "team:support",
        "customerId": "northwind-paris",
        "fromPhoneNumber": "+15550100001",
        "memberEmailAddresses": ["BOB@example.com"],
    }
}
schema = schemathesis.openapi.from_dict(DOCUMENT, config=SchemathesisConfig.from_dict(CONFIGURATION))


@pytest.fixture(scope="module", autouse=True)
def documented_session(stack: Stack, token: str) -> None:
    """Makes a session with the id of the document's example."""
    table = stack.table("SessionsTableName")
    session_id = stack.post({}, token).json()["id"]
    item = table.get_item(Key={"pk": f"acme#{session_id}"})["Item"]
    table.put_item(Item=item | {"pk": f"acme#{SESSION_ID}", "id": SESSION_ID})


@schema.include(path_regex="^/sessions(/|$)").parametrize()  # the other paths are routes to the same function
@settings(max_examples=50, deadline=None)
def test_every_answer_is_one_that_the_document_allows(case: schemathesis.Case[Any], stack: Stack, token: str) -> None:
    case.call_and_validate(base_url=stack.base_url, headers={"Authorization": f"Bearer {token}"})
