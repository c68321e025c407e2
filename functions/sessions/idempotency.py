"""Idempotency: the session id that an Idempotency-Key gives, and the fingerprint of a request.

The header follows draft-ietf-httpapi-idempotency-key-header. Id and fingerprint are hashes of JSON arrays in the
canonical form of RFC 8785. Never change the array that `derive_session_id` hashes. Otherwise an old key creates a
second session. If you change the content of the fingerprint, increase its version, and keep a function for the old
version.
"""

import json
from hashlib import sha256
from typing import Any

from aws.text import fold_address
from sessions.models import NewSession
from sessions.references import Caller
from sessions.rules import apply_defaults


def derive_session_id(caller: Caller, key: str) -> str:
    """Return the id of the session that this user of this account creates with this key: 32 hex digits."""
    return digest(["session-id/1", caller.account_id, caller.user_id, key])[:32]


def make_fingerprint(request: NewSession, caller: Caller) -> str:
    """Return the hash of a request with its defaults applied.

    The hash covers only fields whose values differ from those of an empty request. So, if a later version adds a field
    to the API, old requests keep their fingerprints.
    """
    empty = apply_defaults(NewSession(), caller).model_dump(mode="json")
    fields = apply_defaults(request, caller).model_dump(mode="json")
    fields["memberEmailAddresses"] = list(dict.fromkeys(map(fold_address, request.member_email_addresses)))
    return digest(["request/2", {name: value for name, value in fields.items() if value != empty[name]}])


def is_repeated(request: NewSession, caller: Caller, fingerprint: str | None, from_address: str | None) -> bool:
    """Return whether a request equals the earlier request that has this fingerprint.

    `from_address` is the address of the earlier session. A fingerprint omits `fromAddress` if it equals the caller's
    email address, which may have changed since the earlier request. So the earlier fingerprint may equal any of three
    fingerprints of this request. The first omits `fromAddress` if it equals `from_address`. The second never omits it.
    The third has the format of earlier versions of the service.
    """
    callers = (caller._replace(email=from_address), caller._replace(email=None))
    return (
        any(make_fingerprint(request, each) == fingerprint for each in callers)
        or make_fingerprint_1(request) == fingerprint
    )


def make_fingerprint_1(request: NewSession) -> str:
    """Return the fingerprint of earlier versions of the service: the hash of the fields that a request sets."""
    return digest(["request/1", request.model_dump(mode="json", exclude_unset=True)])


def digest(content: list[Any]) -> str:
    """Return the SHA-256 of canonical JSON, in hex.

    All keys of our JSON objects are ASCII. Python sorts ASCII keys in the order that RFC 8785 requires.
    """
    return sha256(json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()
