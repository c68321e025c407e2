"""The rules of a new session."""

from collections.abc import Mapping
from copy import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from sessions import rules
from sessions.enums import FlowChannels, SessionCallState
from sessions.models import CustomerBreadcrumb, NewSession, SessionInfo
from sessions.references import Caller, Person, References

ADA = Caller("ada", "acme", "Acme Corp", "Ada Lovelace", "ada@example.com", "ep-ada", "Ada's desk")
NOW = datetime(2026, 11, 22, 8, 0, 0, 123456, tzinfo=UTC)
DATE = "2026-11-22T08:00:00.123Z"
BOB = Person("bob", "Bob Stone", "ep-bob", "https://example.com/bob.png")
CAROL = Person("carol", "Carol Reyes")
ALL_REFERENCES = References(
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


def create(fields: Mapping[str, object] = {}, caller: Caller = ADA) -> SessionInfo:
    """Return the session of a request with these fields. The account has all its references."""
    request = NewSession.model_validate(fields)
    references = ALL_REFERENCES
    if not request.customer_id:
        references = replace(references, customer=())
    if not request.with_address:
        references = replace(references, correspondents=None)
    assert rules.check(request, caller, references) == []
    return rules.new_session(request, caller, references, "0" * 32, NOW)


def find_errors(references: References = ALL_REFERENCES, **fields: object) -> list[tuple[str, str]]:
    """Return field and code of each error of a request with these fields."""
    return [(error.field, error.code) for error in rules.check(NewSession.model_validate(fields), ADA, references)]


def list_identities(**fields: object) -> list[str]:
    """Return the identities of the members of a session with these fields."""
    return [member.identity for member in create(fields).members]


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


def test_text_is_stored_unchanged_even_if_it_is_empty() -> None:
    text = {"displayName": "Zoë 🎧", "fromAddress": "", "fromName": " x ", "toAddress": "y", "destination": "*42"}
    session = create(text).model_dump(mode="json", by_alias=True)
    assert {name: session[name] for name in text} == text


def test_a_started_session_is_active_and_logs_the_request_to_start() -> None:
    session = create({"startSession": True})
    assert session.dial_state == "Active"
    assert [entry.message for entry in session.log] == ["Session created by Ada Lovelace", "Flow start requested"]


@pytest.mark.parametrize("state", SessionCallState)
def test_only_a_disconnected_session_has_ended(state: SessionCallState) -> None:
    session = create({"callState": state})
    ended = state is SessionCallState.DISCONNECTED
    assert session.ended is ended
    assert session.date_completed == (DATE if ended else None)
    assert session.members[0].call_state == ("None" if ended else "Connected")


def test_the_creator_is_the_caller_of_an_outgoing_session_and_the_agent_of_an_incoming_one() -> None:
    assert create({"direction": "Outgoing"}).members[0].role == "Caller"
    assert create({"direction": "Incoming"}).members[0].role == "Agent"


def test_a_caller_without_name_email_or_endpoint_can_create_a_session() -> None:
    session = create(caller=Caller("u1", "acme", None, None, None, None, None))
    assert session.log[0].message == "Session created by u1"
    assert session.members[0].display_name == "u1"
    assert session.from_address is None


def test_a_session_with_a_correspondent_is_a_chat() -> None:
    assert create({"withAddress": "user:bob"}).channel is FlowChannels.CHAT
    assert create({"withAddress": "user:bob", "channel": "Chat"}).channel is FlowChannels.CHAT
    assert create().channel is None


@pytest.mark.parametrize("channel", ["Voice", "Fax"])
def test_a_correspondent_is_refused_on_another_channel(channel: str) -> None:
    assert find_errors(withAddress="team:support", channel=channel) == [("withAddress", "NotAllowed")]


def test_a_disconnected_session_cannot_be_started() -> None:
    assert find_errors(startSession=True, callState="Disconnected") == [("startSession", "NotAllowed")]


def test_a_session_of_a_customer_has_the_customers_name_and_breadcrumb() -> None:
    session = create({"customerId": "nw-paris"})
    assert (session.customer_id, session.customer_name) == ("nw-paris", "NW Paris")
    assert [each.name for each in session.customer_breadcrumb] == ["Northwind", "NW Paris"]


def test_members_are_the_creator_then_the_correspondents_then_the_addresses_each_once() -> None:
    assert list_identities() == ["user:ada"]
    assert list_identities(withAddress="team:support") == ["user:ada", "user:bob", "user:carol"]
    assert list_identities(memberEmailAddresses=["Carol@Example.com", "bob@example.com"]) == [
        "user:ada",
        "user:carol",
        "user:bob",
    ]
    both = list_identities(withAddress="team:support", memberEmailAddresses=["carol@example.com", "CAROL@example.com"])
    assert both == ["user:ada", "user:bob", "user:carol"]


def test_a_creator_who_is_named_again_keeps_the_name_and_endpoint_of_the_token() -> None:
    session = create({"memberEmailAddresses": ["bob@example.com", "ADA@example.com"]})
    assert [member.display_name for member in session.members] == ["Ada Lovelace", "Bob Stone"]
    assert (session.members[0].endpoint_id, session.members[0].avatar_url) == ("ep-ada", "https://example.com/ada.png")


def test_a_member_has_the_details_of_the_user() -> None:
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
def test_other_members_ring_if_the_session_starts_and_have_the_role_opposite_to_the_creators(
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
def test_a_record_that_the_account_lacks_is_not_found(fields: dict[str, Any], expected: list[str]) -> None:
    assert find_errors(References(), **fields) == [(name, "NotFound") for name in expected]


def test_a_team_without_users_is_accepted() -> None:
    assert find_errors(References(correspondents=()), withAddress="team:empty") == []


def test_a_session_has_at_most_50_members() -> None:
    people = {f"u{number}@example.com": Person(f"u{number}", "x") for number in range(50)}
    addresses = list(people)
    references = References(people=people)
    assert find_errors(references, memberEmailAddresses=[*addresses[:49], "U0@example.com"]) == []
    assert find_errors(references, memberEmailAddresses=addresses) == [("memberEmailAddresses", "TooMany")]


def test_all_errors_are_returned_at_once() -> None:
    errors = find_errors(startSession=True, callState="Disconnected", withAddress="user:bob", channel="Fax")
    assert errors == [("withAddress", "NotAllowed"), ("startSession", "NotAllowed")]
