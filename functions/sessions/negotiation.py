"""Negotiation: the format in which a client accepts a response."""

import re
from typing import Any

import mimeparse

from sessions.errors import FieldError, ServiceError

CALLBACK = re.compile(r"(?=.{1,128}$)[A-Za-z_$][A-Za-z0-9_$]*(\.[A-Za-z_$][A-Za-z0-9_$]*)*")
INVALID_CALLBACK = FieldError("InvalidFormat", "callback", "must be a JavaScript name, such as myCallback")


def read_callback(event: dict[str, Any]) -> str | None:
    """Return the JavaScript function of `?callback=` that wraps the response (JSONP); None for plain JSON.

    It is a name or a dotted path of names. Raise ServiceError ValidationException for other text: it could be a script.
    """
    callback: str | None = (event.get("queryStringParameters") or {}).get("callback") or None
    if callback and not CALLBACK.fullmatch(callback):
        raise ServiceError("ValidationException", errors=[INVALID_CALLBACK])
    return callback


def check_acceptable(event: dict[str, Any]) -> None:
    """Raise ServiceError NotAcceptable if the client does not accept JSON.

    `?format=` decides first. The gateway joins repeated values by commas. Without `?format=`, a path with `.json` or
    `/json/` means the same as `?format=json`. On other paths the header Accept decides, by q-values and the most
    specific range (RFC 9110, section 12.5.1). With a callback, the client may accept JavaScript instead. A missing or
    malformed Accept accepts everything. Older ServiceStack clients use the name text/json.
    """
    query = event.get("queryStringParameters") or {}
    path = event.get("rawPath", "")
    accept = (event.get("headers") or {}).get("accept", "").lower().replace("text/json", "application/json")
    if query.get("format"):
        acceptable = set(query["format"].lower().split(",")) == {"json"}
    elif path.endswith(".json") or "/json/" in path or accept.strip() in {"", "*/*", "application/json"}:
        acceptable = True
    else:
        offered = ["application/json", "application/javascript"] if query.get("callback") else ["application/json"]
        try:
            acceptable = mimeparse.best_match(offered, accept) != ""
        except mimeparse.MimeTypeParseException:
            acceptable = True
    if not acceptable:
        raise ServiceError("NotAcceptable")
