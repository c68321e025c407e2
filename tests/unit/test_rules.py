"""The rules of a new session."""

from collections.abc import Mapping
from copy import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from sessions import rules
from sessions.enums import FlowChannels, SessionCallState, SessionDirections
from sessions.models import CustomerBreadcrumb, NewSession, SessionInfo, SessionMemberInfo
from sessions.references import Caller, Person, References

ADA = Caller("ada", "acme", "Acme Corp", "Ada Lovelace", "ada@example.com", "ep-ada", "Ada's desk")
NOW = datetime(2026, 11, 22, 8, 0, 0, 123456, tzinfo=UTC)
DATE = "2026-11-22T08:00:00.123Z"


BOB = Person("bob", "Bob Stone", "ep-bob", "https://example.com/bob.png")
CAROL = Person("carol", "Carol Reyes")
PARENT = "0123456789abcdef0123456789abcdef"
FOUND = References(
    customer=(CustomerBreadcrumb(id="northwind", name="Northwind"), CustomerBreadcrumb(id="nw-paris", name="NW Paris")),
    has_parent=True,
    has_caller_id=True,
    correspondents=(BOB, CAROL),
    people={
        "bob@example.com": BOB,
        "carol@example.com": CAROL,
        "ada@example.com": Person("ada", "A. Lovelace", None, "https://example.com/ada.png"),
    },
)


def create(fields: Mapping[str, object] = {}, caller: Caller = ADA, found: References = FOUND) -> SessionInfo:
    """The session for a request with these fields."""
    request = NewSession.model_validate(fields)
    if not request.customer_id:
        found = replace(found, customer=())
    if not request.with_address:
        found = replace(found, correspondents=None)
    assert rules.check(request, caller, found) == []
    return rules.new_session(request, caller, found, "0" * 32, NOW)


def refusals(found: References = FOUND, **fields: object) -> list[tuple[str, str]]:
    return [(error.field, error.code) for error in rules.check(NewSession.model_validate(fields), ADA, found)]


def members(**fields: object) -> list[str]:
    return [member.identity for member in create(fields).members]


def creator(**fields: object) -> SessionMemberInfo:
    return create(fields).members[0]


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


def test_a_session_of_a_customer_carries_its_name_and_breadcrumb() -> None:
    session = create({"customerId": "nw-paris"})
    assert (session.customer_id, session.customer_name) == ("nw-paris", "NW Paris")
    assert [each.name for each in session.customer_breadcrumb] == ["Northwind", "NW Paris"]


def test_members_are_the_creator_then_whom_the_chat_is_with_then_the_addresses_each_once() -> None:
    assert members() == ["user:ada"]
    assert members(withAddress="team:support") == ["user:ada", "user:bob", "user:carol"]
    assert members(memberEmailAddresses=["Carol@Example.com", "bob@example.com"]) == [
        "user:ada",
        "user:carol",
        "user:bob",
    ]
    both = members(withAddress="team:support", memberEmailAddresses=["carol@example.com", "CAROL@example.com"])
    assert both == ["user:ada", "user:bob", "user:carol"]


def test_a_creator_who_is_named_again_stays_as_the_token_has_them() -> None:
    session = create({"memberEmailAddresses": ["bob@example.com", "ADA@example.com"]})
    assert [member.display_name for member in session.members] == ["Ada Lovelace", "Bob Stone"]
    assert (session.members[0].endpoint_id, session.members[0].avatar_url) == ("ep-ada", "https://example.com/ada.png")


def test_a_member_has_what_is_known_of_the_user() -> None:
    bob = create({"memberEmailAddresses": ["bob@example.com"]}).members[1]
    assert bob.model_dump(mode="json", exclude_none=True) == {
        "identity": "user:bob",
        "endpointId": "ep-bob",
        "displayName": "Bob Stone",
        "isOriginalMember": True,
        "avatarUrl": "https://example.com/bob.png",
        "applicationData": {},
        "callState": "None",
        "role": "Agent",
        "muted": False,
    }


@pytest.mark.parametrize(("start", "state"), [(True, "Ringing"), (False, "None")])
@pytest.mark.parametrize(("direction", "role"), [("Outgoing", "Agent"), ("Incoming", "Caller")])
def test_the_others_ring_once_the_session_starts_and_have_the_role_opposite_to_the_creators(
    start: bool,  # noqa: FBT001
    state: str,
    direction: str,
    role: str,
) -> None:
    session = create({"withAddress": "team:support", "startSession": start, "direction": direction})
    assert {(member.call_state, member.role) for member in session.members[1:]} == {(state, role)}
    assert session.members[0].role != role


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"customerId": "x"}, ["customerId"]),
        ({"parentSessionId": "x"}, ["parentSessionId"]),
        ({"withAddress": "user:x"}, ["withAddress"]),
        ({"fromPhoneNumber": "+15550200001"}, ["fromPhoneNumber"]),
        ({"memberEmailAddresses": ["x@example.com", "bob@example.com"]},
         ["memberEmailAddresses[0]", "memberEmailAddresses[1]"]),
    ],
)  # fmt: skip
def test_what_the_account_does_not_have_is_not_found(fields: dict[str, Any], expected: list[str]) -> None:
    assert refusals(References(), **fields) == [(name, "NotFound") for name in expected]


def test_an_empty_team_is_a_team() -> None:
    assert refusals(References(correspondents=()), withAddress="team:empty") == []


def test_a_session_has_at_most_50_members() -> None:
    people = {f"u{number}@example.com": Person(f"u{number}", "x") for number in range(50)}
    addresses = list(people)
    found = References(people=people)
    assert refusals(found, memberEmailAddresses=[*addresses[:49], "U0@example.com"]) == []
    assert refusals(found, memberEmailAddresses=addresses) == [("memberEmailAddresses", "TooMany")]


def test_all_that_is_wrong_is_told_at_once() -> None:
    fields: dict[str, Any] = {"startSession": True, "callState": "Disconnected", "withAddress": "user:bob"}
    fields["channel"] = "Fax"
    assert refusals(**fields) == [("withAddress", "NotAllowed"), ("startSession", "NotAllowed")]
