"""The sessions table, and the directory as far as a create needs it. The only module of the API that calls DynamoDB.

The template has the layout of both tables above them. An account's sessions spread over all partitions, because the id
in their key is random, and one is read by its key alone. Listing an account's sessions newest first needs an index on
`accountShard` (the account and the id's first digit) and `dateCreated`, which each item has: sixteen queries to merge,
and no partition that takes all that an account writes.
"""

import os
import random
import re
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from sessions.client import CALL_MILLISECONDS, REPLY_MILLISECONDS, make_client, may_repeat, unsettled
from sessions.errors import ServiceError
from sessions.models import CustomerBreadcrumb, NewSession, SessionInfo
from sessions.references import Person, References, StoredSession
from sessions.wire import read_item, write_item

SESSIONS = os.environ["SESSIONS_TABLE"]
DIRECTORY = os.environ.get("DIRECTORY_TABLE", "")  # for creates only
SESSION_ID = re.compile(r"[0-9a-f]{32}")
KEY_MAX = 1024  # bytes of a sort key

client = make_client()


def session_key(account_id: str, session_id: str) -> dict[str, str]:
    """The key of a session. Unambiguous: an account's id holds no # and a session's id is 32 hex digits."""
    return {"pk": f"{account_id}#{session_id}"}


def get_session(account_id: str, session_id: str) -> SessionInfo:
    """A session of the account, as it is now. Raises ServiceError: NotFound, or ServiceUnavailable."""
    if not SESSION_ID.fullmatch(session_id):
        raise ServiceError("NotFound")
    key = write_item(session_key(account_id, session_id))
    try:
        response = client.get_item(TableName=SESSIONS, Key=key, ConsistentRead=True, ReturnConsumedCapacity="TOTAL")
    except Exception as error:  # botocore lets errors of its parsers through
        raise ServiceError("ServiceUnavailable") from error
    if "ConsumedCapacity" not in response:  # an answer that was cut short looks like one without an item
        raise ServiceError("ServiceUnavailable")
    if "Item" not in response:
        raise ServiceError("NotFound")
    return SessionInfo.model_validate(read_item(response["Item"]))


def find_references(
    request: NewSession, account_id: str, session_id: str | None, remaining: Callable[[], int]
) -> References:
    """What the request refers to, by one BatchGetItem; by no call at all if it refers to nothing.

    With a session id, which is one that an Idempotency-Key gives, that read finds the session itself too. `remaining`
    tells the milliseconds that the function has left. Raises ServiceError: ServiceUnavailable.
    """
    customer = f"CUSTOMER#{request.customer_id}"
    caller_id = f"CALLER_ID#{request.from_phone_number}"
    kind, _, name = (request.with_address or "").partition(":")
    correspondent = f"{kind.upper()}#{name}"
    addresses = {f"EMAIL#{address.lower()}": address.lower() for address in request.member_email_addresses}
    named = addresses | {
        customer: request.customer_id,
        caller_id: request.from_phone_number,
        correspondent: request.with_address,
    }
    keys = [{"pk": f"ACCOUNT#{account_id}", "sk": key} for key, value in named.items() if value and is_key(key)]
    parent = request.parent_session_id or ""
    sessions = {parent} if SESSION_ID.fullmatch(parent) else set()
    if session_id and (keys or sessions):  # else the put finds it
        sessions.add(session_id)
    wanted: dict[str, Any] = {}
    if keys:
        wanted[DIRECTORY] = {"Keys": [write_item(key) for key in keys]}
    if sessions:
        session_keys = [write_item(session_key(account_id, each)) for each in sessions]
        wanted[SESSIONS] = {"Keys": session_keys, "ConsistentRead": True}
    if not wanted:
        return References()
    found = batch_get(wanted, remaining)

    stored = {item["id"]: item for item in found[SESSIONS]}
    entries = {entry["sk"]: entry for entry in found[DIRECTORY]}
    chain = entries[customer]["breadcrumb"] if customer in entries else []
    correspondents = None
    if correspondent in entries:  # a team, which lists its people, or a user, who is one
        entry = entries[correspondent]
        correspondents = tuple(read_person(each) for each in entry.get("members", [entry]))
    return References(
        customer=tuple(CustomerBreadcrumb(**each) for each in chain),
        has_parent=parent in stored,
        has_caller_id=caller_id in entries,
        correspondents=correspondents,
        people={address: read_person(entries[key]) for key, address in addresses.items() if key in entries},
        existing=read_stored(stored[session_id]) if session_id in stored else None,
    )


def read_stored(item: Mapping[str, Any]) -> StoredSession:
    """A session of the table, with whose request made it."""
    return StoredSession(SessionInfo.model_validate(item), item.get("fingerprint"), item.get("requestId"))


def read_person(entry: Mapping[str, Any]) -> Person:
    """A user as the Directory's entries of users, addresses and teams have it."""
    return Person(entry["userId"], entry["name"], entry.get("endpointId"), entry.get("avatarUrl"))


def is_key(sort_key: str) -> bool:
    """Whether DynamoDB takes this as a sort key: it refuses a whole batch for one that is too long."""
    return len(sort_key.encode()) <= KEY_MAX


def batch_get(wanted: Mapping[str, Any], remaining: Callable[[], int]) -> defaultdict[str, list[dict[str, Any]]]:
    """The items with these keys, by table. What DynamoDB hands back unprocessed is asked for again.

    But only while the time suffices for one more call of it and for the put. Raises ServiceError: ServiceUnavailable.
    """
    found: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    pause = 0.05  # seconds at most, doubled each time
    while wanted:
        try:
            response = client.batch_get_item(RequestItems=wanted)
            answered, wanted = response["Responses"], response["UnprocessedKeys"]
        except Exception as error:  # botocore lets errors of its parsers through, and answers that end too early
            raise ServiceError("ServiceUnavailable") from error
        for table, items in answered.items():
            found[table] += [read_item(item) for item in items]
        if wanted:
            if remaining() < 2 * CALL_MILLISECONDS + REPLY_MILLISECONDS:
                raise ServiceError("ServiceUnavailable")
            time.sleep(random.uniform(0, pause))  # noqa: S311 (jitter, no secret)
            pause *= 2
    return found


def put_session(
    session: SessionInfo, request: NewSession, fingerprint: str | None, request_id: str, remaining: Callable[[], int]
) -> StoredSession | None:
    """Store a new session, once: None, or what another request has stored under its id, which stays as it is.

    A fingerprint comes with an Idempotency-Key, and only then can there be another request. The put is repeated, with
    the same id, while `remaining` leaves the milliseconds for it:

        answer           the item is there             and then
        applied          ours                          None
        condition fails  ours: an attempt unsettled    None (and its request id is ours as well)
        condition fails  another request's             that
        refused          not, or not by us             ServiceUnavailable, which may be sent again
        none             nobody can tell               with a key ServiceUnavailable, without one OutcomeUnknown

    Raises ServiceError.
    """
    attributes = (
        request.model_dump(mode="json", exclude_unset=True)
        | session.model_dump(mode="json", exclude_none=True)
        | session_key(session.account_id, session.id)
        | {"accountShard": f"{session.account_id}#{session.id[0]}", "requestId": request_id}
        | ({"fingerprint": fingerprint} if fingerprint else {})
    )
    item = write_item(attributes)
    unsettled.set(0)
    while True:
        try:
            client.put_item(
                TableName=SESSIONS,
                Item=item,
                ConditionExpression="attribute_not_exists(pk)",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except client.exceptions.ConditionalCheckFailedException as error:
            existing = read_stored(read_item(error.response["Item"]))  # type: ignore[typeddict-item]
            if unsettled.get() and existing.request_id == request_id:
                return None
            if fingerprint is None:
                raise
            return existing
        except Exception as error:  # botocore lets errors of its parsers through
            if (unsettled.get() or may_repeat(error)) and remaining() > CALL_MILLISECONDS + REPLY_MILLISECONDS:
                time.sleep(random.uniform(0, 1))  # noqa: S311 (jitter, no secret)
                continue
            if unsettled.get() and fingerprint is None:
                message = f"Session {session.id} may have been created."
                raise ServiceError("OutcomeUnknown", message, session_id=session.id) from error
            raise ServiceError("ServiceUnavailable", session_id=session.id) from error
        return None
