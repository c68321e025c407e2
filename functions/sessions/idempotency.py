"""Idempotency: the session id that an Idempotency-Key gives, and the fingerprint of a request.

draft-ietf-httpapi-idempotency-key-header. Both are hashes of JSON arrays in the canonical form of RFC 8785; joined
strings would be ambiguous. Each array starts with its version. A key lives as long as its session, across deploys and
canaries: a change of the hashed content needs a new version.
"""

import json
from hashlib import sha256
from typing import Any

from sessions.models import NewSession
from sessions.references import Caller


def derive_session_id(caller: Caller, key: str) -> str:
    """Return the id of the session that this user of this account creates with this key: 32 hex digits."""
    return digest(["session-id/1", caller.account_id, caller.user_id, key])[:32]


def make_fingerprint(request: NewSession) -> str:
    """Return the hash of the fields that the request sets. A repeated request must have the same one."""
    return digest(["request/1", request.model_dump(mode="json", exclude_unset=True)])


def digest(content: list[Any]) -> str:
    """Return the SHA-256 of canonical JSON, in hex. RFC 8785 sorts ASCII names, as ours are, like Python."""
    return sha256(json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()
