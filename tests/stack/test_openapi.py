"""The running service against docs/openapi.json. Schemathesis generates valid and invalid requests from it.

The document must allow each response: status, headers, content type and schema. No response is a 5xx.
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
        # The service is tolerant on purpose: any casing, "true", unknown keys, any Content-Type.
        "negative_data_rejection": {"enabled": False},
        # A valid id of another account, or of nothing, is a field error.
        "positive_data_acceptance": {"enabled": False},
        # The gateway answers an unknown method with 404, and HTTP API has no setting for that.
        "unsupported_method": {"enabled": False},
    },
}
DOCUMENT: dict[str, Any] = json.loads((ROOT / "docs/openapi.json").read_text())
SESSION_ID = DOCUMENT["components"]["parameters"]["sessionId"]["example"]
# Without this example no request would refer to records of the account.
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
    """Store a session under the id of the document's example."""
    table = stack.table("SessionsTableName")
    session_id = stack.post({}, token).json()["id"]
    item = table.get_item(Key={"pk": f"acme#{session_id}"})["Item"]
    table.put_item(Item=item | {"pk": f"acme#{SESSION_ID}", "id": SESSION_ID})


@schema.parametrize()
@settings(max_examples=50, deadline=None)
def test_the_document_allows_every_response(case: schemathesis.Case[Any], stack: Stack, token: str) -> None:
    case.call_and_validate(base_url=stack.base_url, headers={"Authorization": f"Bearer {token}"})
