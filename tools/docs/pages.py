"""The generated documents. A page contains a table between `<!-- make docs: NAME -->` and `<!-- end -->`."""

import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from docs import layer, licences, openapi, reference, tables
from docs.schemas import ROOT
from sessions import rules

TABLES: dict[str, Callable[[], str]] = {
    "routes": reference.make_route_table,
    "directory": reference.make_directory_table,
    "request": reference.make_request_table,
    "formats": reference.make_format_table,
    "session": partial(reference.make_response_table, "SessionInfo", rules.new_session),
    "member": partial(reference.make_response_table, "SessionMemberInfo", rules.make_member),
    "errors": reference.make_error_table,
    "field-errors": reference.make_field_error_table,
    "alarms": tables.make_alarm_table,
    "failures": partial(tables.make_data_table, "failures"),
    "events": partial(tables.make_data_table, "events"),
    "licences": licences.make_licence_table,
}


def dump(document: dict[str, Any]) -> str:
    """Return a document as JSON."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def make_page(path: str) -> str:
    """Return a hand-written page with new tables."""
    return re.sub(
        r"(<!-- make docs: ([\w-]+) -->\n).*?(<!-- end -->)",
        lambda match: f"{match[1]}\n{TABLES[match[2]]()}\n\n{match[3]}",
        (ROOT / path).read_text(),
        flags=re.DOTALL,
    )


PAGES = ("docs/api.md", "docs/licences.md", "docs/operations.md", "events/README.md")
DOCUMENTS: Mapping[str, Callable[[], str]] = {
    "docs/openapi.json": lambda: dump(openapi.make_openapi()),
    "docs/events/schemas.json": lambda: dump(openapi.make_event_schemas()),
    "layers/dependencies/requirements.txt": layer.make_requirements,
    "layers/dependencies/sbom.cdx.json": layer.make_sbom,
} | {path: partial(make_page, path) for path in PAGES}
