"""The hashes that make a create safe to repeat. They are the same in every version of the service."""

from copy import replace

import pytest

from sessions.idempotency import derive_session_id, make_fingerprint, make_fingerprint_1
from sessions.parsing import parse_request
from sessions.references import Caller

ADA = Caller("ada", "acme", "Acme Corp", "Ada Lovelace", "ada@example.com", "ep-ada", "Ada's desk")
# The fields of version 1. A later field belongs in a request of its own: these hashes never change.
EVERYTHING: dict[str, object] = {
    "displayName": "Zoë 🎧 \u2028",
    "channel": "chat",
    "direction": "INCOMING",
    "callState": "Ringing",
    "fromAddress": "",
    "fromName": "a",
    "toAddress": "b",
    "parentSessionId": "0" * 32,
    "customerId": "northwind",
    "withAddress": "user:bob",
    "fromPhoneNumber": "+15550100001",
    "destination": '"\\',
    "memberEmailAddresses": ["b@example.com", "A@example.com"],
    "startSession": "true",
}


def make_fingerprint_of(body: dict[str, object]) -> str:
    """Return the fingerprint of a body."""
    request, errors = parse_request(body)
    assert errors == []
    return make_fingerprint(request, ADA)


def test_a_key_gives_the_same_session_id_in_every_version() -> None:
    # printf '["session-id/1","acme","ada","order-1042"]' | sha256sum
    assert derive_session_id(ADA, "order-1042") == "c8846f5d46ab87dc7b75da45b05037e3"


def test_a_request_has_the_same_fingerprint_in_every_version() -> None:
    # printf '["request/2",{}]' | sha256sum
    assert make_fingerprint_of({}) == "65d757e042d25ae1e5aee83f0fcb0b8f5702941d0b83a511b8093bed733edd4d"
    assert make_fingerprint_of(EVERYTHING) == "4972ab3ea9be40ce74ff82e0223f5937c83744ae46c783c597fa1702489d7913"


def test_the_fingerprints_of_earlier_versions_of_the_service_are_still_known() -> None:
    # printf '["request/1",{}]' | sha256sum
    empty, everything = (make_fingerprint_1(parse_request(body)[0]) for body in ({}, EVERYTHING))
    assert empty == "6d764de0c063c6f1a3f3cfe4cecba407856b214f53831f768bec96378253132c"
    assert everything == "79922845d47f916247dba0c5405093434c233a0ce479b0cc2bb02e3f0a352c81"


def test_another_account_user_or_key_gives_another_session_id() -> None:
    ids = [
        derive_session_id(ADA, "k"),
        derive_session_id(ADA, "K"),
        derive_session_id(ADA, '"k"'),
        derive_session_id(replace(ADA, account_id="globex"), "k"),
        derive_session_id(replace(ADA, user_id="bob"), "k"),
        derive_session_id(replace(ADA, account_id='acme","ada', user_id=""), "k"),
        derive_session_id(replace(ADA, user_id='ada","k'), ""),
    ]
    assert len(set(ids)) == len(ids)


def test_the_same_request_in_another_spelling_has_the_same_fingerprint() -> None:
    first = make_fingerprint_of({"displayName": "x", "channel": "Voice", "startSession": True})
    second = make_fingerprint_of({"StartSession": "TRUE", "CHANNEL": "voice", "DisplayName": "x", "toAddress": None})
    assert first == second


@pytest.mark.parametrize(
    "other",
    [{}, {"displayName": "y"}, {"displayName": "x", "startSession": True}, {"displayName": "x", "fromName": ""}],
)
def test_another_request_has_another_fingerprint(other: dict[str, object]) -> None:
    assert make_fingerprint_of(other) != make_fingerprint_of({"displayName": "x"})


@pytest.mark.parametrize(
    ("body", "equal"),
    [
        ({}, {"startSession": False, "memberEmailAddresses": [], "direction": "Outgoing", "callState": "Connected"}),
        ({}, {"fromAddress": "ada@example.com", "customerId": "", "channel": None}),
        ({"withAddress": "user:bob"}, {"withAddress": "user:bob", "channel": "Chat"}),
        ({"memberEmailAddresses": ["a@b.c", "d@e.f"]}, {"memberEmailAddresses": ["A@B.c", "d@e.f", "a@b.C"]}),
    ],
)
def test_requests_with_the_same_effect_have_the_same_fingerprint(
    body: dict[str, object], equal: dict[str, object]
) -> None:
    assert make_fingerprint_of(body) == make_fingerprint_of(equal)
