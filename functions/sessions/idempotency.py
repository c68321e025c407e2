"""What makes a create safe to repeat: an id that the key gives, and a fingerprint that tells one request from another.

draft-ietf-httpapi-idempotency-key-header. Both are hashes of JSON arrays, because joined strings are ambiguous, in the
canonical form of RFC 8785, and each starts with its version. Keys live as long as their sessions, across deploys and
canaries: what is hashed here must never change without a new version.
"""

import json
from hashlib import sha256
from typing import Any

from sessions.models import NewSession
from sessions.references import Caller


def derive_session_id(caller: Caller, key: str) -> str:
    """The id of the session that this user of this account creates with this Idempotency-Key: 32 hex digits."""
    return digest(["session-id/1", caller.account_id, caller.user_id, key])[:32]


def fingerprint(request: NewSession) -> str:
    """What a repeated request must have in common with the first: the fields that were set, as they were validated."""
    return digest(["request/1", request.model_dump(mode="json", exclude_unset=True)])


def digest(content: list[Any]) -> str:
    """SHA-256 of canonical JSON, in hex. Our field names are ASCII, so their order is that of RFC 8785."""
    return sha256(json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()
