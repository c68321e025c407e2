"""What makes a create safe to repeat: these hashes must be the same in every version of the service."""

from copy import replace

import pytest
from conftest import make_event

from sessions import binding
from sessions.errors import ServiceError
from sessions.idempotency import derive_session_id, fingerprint
from sessions.models import NewSession
from sessions.references import Caller

ADA = Caller("ada", "acme", "Acme Corp", "Ada Lovelace", "ada@example.com", "ep-ada", "Ada's desk")
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


def bind(body: dict[str, object]) -> NewSession:
    request, errors = parsing.parse_request(body)
    assert errors == []
    return request


def test_an_id_is_the_same_in_every_version() -> None:
    # printf '["session-id/1","acme","ada","order-1042"]' | sha256sum
    assert derive_session_id(ADA, "order-1042") == "c8846f5d46ab87dc7b75da45b05037e3"


def test_a_fingerprint_is_the_same_in_every_version() -> None:
    # printf '["request/1",{}]' | sha256sum
    assert make_fingerprint(bind({})) == "6d764de0c063c6f1a3f3cfe4cecba407856b214f53831f768bec96378253132c"
    assert make_fingerprint(bind(EVERYTHING)) == "79922845d47f916247dba0c5405093434c233a0ce479b0cc2bb02e3f0a352c81"


def test_another_account_user_or_key_gives_another_id() -> None:
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
    first = make_fingerprint(bind({"displayName": "x", "channel": "Voice", "startSession": True}))
    assert (
        make_fingerprint(bind({"StartSession": "TRUE", "CHANNEL": "voice", "DisplayName": "x", "toAddress": None})) == first
    )


@pytest.mark.parametrize(
    "other",
    [{}, {"displayName": "y"}, {"displayName": "x", "startSession": False}, {"displayName": "x", "fromName": ""}],
)
def test_another_request_has_another_fingerprint(other: dict[str, object]) -> None:
    assert make_fingerprint(bind(other)) != make_fingerprint(bind({"displayName": "x"}))


@pytest.mark.parametrize("key", ["k", "!", "~", '"quoted"', "8e03978e-40d5-43dd-bc93-6894a57f9324", "a,b", "x" * 255])
def test_a_key_is_taken_as_it_comes(key: str) -> None:
    assert parsing.read_idempotency_key(make_event(key=key)) == key


@pytest.mark.parametrize("key", ["", " ", "a b", " a", "a\n", "a\t", "é", "\x7f", "x" * 256, "a\x00"])
def test_any_other_key_is_refused(key: str) -> None:
    with pytest.raises(ServiceError) as caught:
        parsing.read_idempotency_key(make_event(key=key))
    assert caught.value.code == "ValidationException"
    assert [error.field for error in caught.value.errors] == ["Idempotency-Key"]


def test_a_request_needs_no_key() -> None:
    assert parsing.read_idempotency_key(make_event()) is parsing.read_idempotency_key({}) is None
