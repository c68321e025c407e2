"""The rules of a new session."""

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from sessions import rules
from sessions.enums import FlowChannels, SessionCallState, SessionDirections
from sessions.models import Caller, NewSession, SessionInfo, SessionMemberInfo

ADA = Caller("ada", "acme", "Acme Corp", "Ada Lovelace", "ada@example.com", "ep-ada", "Ada's desk")
NOW = datetime(2026, 11, 22, 8, 0, 0, 123456, tzinfo=UTC)
DATE = "2026-11-22T08:00:00.123Z"


def create(fields: Mapping[str, object] = {}, caller: Caller = ADA) -> SessionInfo:
    """The session for a request with these fields."""
    request = NewSession.model_validate(fields)
    assert rules.check(request) == []
    return rules.create_session(request, caller, "0" * 32, NOW)


def refusals(**fields: object) -> list[tuple[str, str]]:
    return [(error.field, error.code) for error in rules.check(NewSession.model_validate(fields))]


def creator(**fields: object) -> SessionMemberInfo:
    (member,) = create(fields).members
    return member


def test_an_empty_request_gets_the_documented_defaults_and_no_others() -> None:
    assert create().model_dump(mode="json", by_alias=True, exclude_none=True) == {
        "id": "0" * 32,
        "dateCreated": DATE,
        "dateLastModified": DATE,
        "createdBy": "ada",
        "lastModifiedBy": "ada",
        "accountId": "acme",
        "accountName": "Acme Corp",
        "endpointId": "ep-ada",
        "endpointName": "Ada's desk",
        "direction": "Outgoing",
        "callState": "Connected",
        "fromAddress": "ada@example.com",
        "dialState": "None",
        "queueState": "None",
        "holdReason": "None",
        "wasMissed": False,
        "ended": False,
        "customerBreadcrumb": [],
        "log": [{"date": DATE, "message": "Session created by Ada Lovelace"}],
        "members": [
            {
                "identity": "user:ada",
                "endpointId": "ep-ada",
                "displayName": "Ada Lovelace",
                "isOriginalMember": True,
                "applicationData": {},
                "callState": "Connected",
                "role": "Caller",
                "muted": False,
            }
        ],
    }


def test_what_is_sent_is_kept_as_it_was_sent() -> None:
    sent = {
        "displayName": "Zoë 🎧",
        "channel": "Fax",
        "direction": "Incoming",
        "callState": "Hold",
        "fromAddress": "",
        "fromName": " x ",
        "toAddress": "y",
        "destination": "*42",
        "customerId": "northwind",
        "fromPhoneNumber": "+15550100001",
    }
    session = create(sent).model_dump(mode="json", by_alias=True)
    assert {name: session[name] for name in sent} == sent


def test_a_started_session_is_active_and_says_so_in_its_log() -> None:
    session = create({"startSession": True})
    assert session.dial_state == "Active"
    assert [entry.message for entry in session.log] == ["Session created by Ada Lovelace", "Flow start requested"]


@pytest.mark.parametrize("state", SessionCallState)
def test_only_a_disconnected_session_has_ended(state: SessionCallState) -> None:
    session = create({"callState": state})
    ended = state is SessionCallState.DISCONNECTED
    assert session.ended is ended
    assert session.date_completed == (DATE if ended else None)
    assert creator(callState=state).call_state == ("None" if ended else "Connected")


def test_the_creator_is_the_caller_of_an_outgoing_session_and_the_agent_of_an_incoming_one() -> None:
    assert creator(direction=SessionDirections.OUTGOING).role == "Caller"
    assert creator(direction=SessionDirections.INCOMING).role == "Agent"


def test_a_caller_without_name_email_or_endpoint_can_create_a_session() -> None:
    session = create(caller=Caller("u1", "acme", None, None, None, None, None))
    assert session.log[0].message == "Session created by u1"
    assert session.members[0].display_name == "u1"
    assert session.from_address is None


def test_a_session_with_an_address_is_a_chat() -> None:
    assert create({"withAddress": "user:bob"}).channel is FlowChannels.CHAT
    assert create({"withAddress": "user:bob", "channel": "Chat"}).channel is FlowChannels.CHAT
    assert create().channel is None


@pytest.mark.parametrize("channel", ["Voice", "Fax"])
def test_an_address_is_refused_for_another_channel(channel: str) -> None:
    assert refusals(withAddress="team:support", channel=channel) == [("withAddress", "NotAllowed")]


def test_a_disconnected_session_is_not_started() -> None:
    assert refusals(startSession=True, callState="Disconnected") == [("startSession", "NotAllowed")]


def test_no_more_than_50_persons_are_named() -> None:
    addresses = [f"u{number}@example.com" for number in range(50)]
    assert refusals(memberEmailAddresses=[*addresses, "U0@Example.com"]) == []
    assert refusals(memberEmailAddresses=[*addresses, "u50@example.com"]) == [("memberEmailAddresses", "TooMany")]


def test_all_that_is_wrong_is_told_at_once() -> None:
    fields = {"startSession": True, "callState": "Disconnected", "withAddress": "user:bob", "channel": "Fax"}
    assert refusals(**fields) == [("withAddress", "NotAllowed"), ("startSession", "NotAllowed")]
