"""The Sessions table, and the references that a create reads from the Directory table.

This is the only module of the API that calls DynamoDB, apart from the warm-up. template.yaml has the layout of both
tables. The id in the key is random or a hash. So it spreads the sessions of an account over all partitions. A future
list of sessions needs an index on `accountShard` (account and first digit of the id) and `dateCreated`.
"""

import os
import re
import secrets
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from aws.client import ATTEMPTS_MAX, CALL_SECONDS, ROUNDS_SECONDS, CallFailedError, attempts, call, make_client
from aws.text import fold_address
from aws.wire import from_wire, to_wire
from sessions.errors import ServiceError
from sessions.models import CustomerBreadcrumb, NewSession, SessionInfo
from sessions.references import Person, References

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SESSIONS_TABLE = os.environ["SESSIONS_TABLE"]
DIRECTORY_TABLE = os.environ["DIRECTORY_TABLE"]
RETENTION_SECONDS = int(os.environ["SESSION_RETENTION_DAYS"]) * 24 * 3600  # 0: new sessions are kept for ever
SESSION_ID = re.compile(r"[0-9a-f]{32}")
SORT_KEY_MAX = 1024  # bytes: one key over this limit makes DynamoDB refuse the whole batch

client: "DynamoDBClient" = make_client("dynamodb")


class StoredSession(NamedTuple):
    """A session of the table, with the facts about the create that stored it."""

    session: SessionInfo
    fingerprint: str | None
    """The fingerprint of its request; None if the request had no Idempotency-Key."""
    write_id: str | None
    """A random id of the put that stored it."""
    item: Mapping[str, Any]
    """All attributes."""


def session_key(account_id: str, session_id: str) -> dict[str, str]:
    """Return the key of a session. It is unique, because an account id contains no #."""
    return {"pk": f"{account_id}#{session_id}"}


def is_expired(item: Mapping[str, Any]) -> bool:
    """Return whether a session is past its retention. It then counts as deleted. DynamoDB deletes it days later."""
    return float(item.get("expiresAt", "inf")) <= time.time()


def rounds() -> Iterator[int]:
    """Yield the numbers of rounds of one `call` each, with pauses. The last round ends within ROUNDS_SECONDS."""
    return attempts(ATTEMPTS_MAX, seconds=ROUNDS_SECONDS - CALL_SECONDS)


def read_session(account_id: str, session_id: str) -> StoredSession:
    """Return a session of the account as it is now. Raise ServiceError: NotFound or ServiceUnavailable."""
    if not SESSION_ID.fullmatch(session_id):
        raise ServiceError("NotFound")
    key = to_wire(session_key(account_id, session_id))
    try:
        response = call(client.get_item, TableName=SESSIONS_TABLE, Key=key, ConsistentRead=True)
    except CallFailedError as error:
        raise ServiceError("ServiceUnavailable") from error
    item = from_wire(response.get("Item", {}))
    if not item or is_expired(item):
        raise ServiceError("NotFound")
    return to_stored_session(item)


def read_references(
    account_id: str, request: NewSession, derived_id: str | None
) -> tuple[References, StoredSession | None]:
    """Return the references of a request, and the session that its Idempotency-Key created earlier, if any.

    `derived_id` is the id that was derived from the key. One BatchGetItem reads the references and the session with
    this id. A request without references reads nothing: if an earlier session exists, the conditional put fails and
    returns it. Raise ServiceError: ServiceUnavailable.
    """
    customer = f"CUSTOMER#{request.customer_id}"
    caller_id = f"CALLER_ID#{request.from_phone_number}"
    kind, _, name = (request.with_address or "").partition(":")
    correspondent = f"{kind.upper()}#{name}"
    addresses = {f"EMAIL#{address}": address for address in map(fold_address, request.member_email_addresses)}
    values = addresses | {
        customer: request.customer_id,
        caller_id: request.from_phone_number,
        correspondent: request.with_address,
    }
    sort_keys = [key for key, value in values.items() if value and len(key.encode()) <= SORT_KEY_MAX]
    parent_id = request.parent_session_id or ""
    session_ids = {parent_id} if SESSION_ID.fullmatch(parent_id) else set()
    if not sort_keys and not session_ids:
        return References(), None
    if derived_id:
        session_ids.add(derived_id)

    items = batch_get(
        directory_keys=[to_wire({"pk": f"ACCOUNT#{account_id}", "sk": key}) for key in sort_keys],
        session_keys=[to_wire(session_key(account_id, session_id)) for session_id in session_ids],
    )
    entries = {entry["sk"]: entry for entry in items[DIRECTORY_TABLE]}
    sessions = {item["id"]: item for item in items[SESSIONS_TABLE] if not is_expired(item)}
    breadcrumb = entries[customer]["breadcrumb"] if customer in entries else []
    correspondents = None
    if correspondent in entries:  # the entry of a team has members; the entry of a user is the person
        entry = entries[correspondent]
        correspondents = tuple(to_person(each) for each in entry.get("members", [entry]))
    references = References(
        customer=tuple(CustomerBreadcrumb(**each) for each in breadcrumb),
        has_parent=parent_id in sessions,
        has_caller_id=caller_id in entries,
        correspondents=correspondents,
        people={address: to_person(entries[key]) for key, address in addresses.items() if key in entries},
    )
    earlier = sessions.get(derived_id or "")
    return references, to_stored_session(earlier) if earlier else None


def batch_get(directory_keys: list[Any], session_keys: list[Any]) -> defaultdict[str, list[dict[str, Any]]]:
    """Return the items with these keys, by table. Read unprocessed keys again. Raise ServiceUnavailable."""
    pending_keys: dict[str, Any] = {}
    if directory_keys:
        pending_keys[DIRECTORY_TABLE] = {"Keys": directory_keys}
    if session_keys:
        pending_keys[SESSIONS_TABLE] = {"Keys": session_keys, "ConsistentRead": True}
    items: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for _ in rounds():
        try:
            response = call(client.batch_get_item, proof="UnprocessedKeys", RequestItems=pending_keys)
        except CallFailedError as error:
            raise ServiceError("ServiceUnavailable") from error
        for table, wire_items in response["Responses"].items():
            items[table] += map(from_wire, wire_items)
        pending_keys = dict(response["UnprocessedKeys"])
        if not pending_keys:
            return items
    raise ServiceError("ServiceUnavailable")


def put_session(session: SessionInfo, request: NewSession, fingerprint: str | None) -> StoredSession | None:
    """Store a new session once. Return None if it is stored, else the session of an earlier request with the same id.

    A request with an Idempotency-Key has a fingerprint. Without a key the id is random, so no earlier request has
    stored a session under it. If the outcome of an attempt is unknown, `call` repeats the attempt with the same item.
    `writeId` identifies the put that stored an item. The put replaces an expired session. So a failed condition returns
    only sessions that have not expired.

        outcome of `call`       stored item                       then
        answered                ours                              None
        condition failed        ours: the same writeId            None
        condition failed        an earlier request's              return it; without a key, raise ClientError: a bug
        refused, not applied    none, or an earlier request's     ServiceUnavailable
        unknown                 perhaps ours                      ServiceUnavailable; without a key, OutcomeUnknown

    Raise ServiceError.
    """
    write_id, now = secrets.token_hex(16), int(time.time())
    item = to_wire(
        request.model_dump(mode="json", exclude_unset=True)
        | session.model_dump(mode="json", exclude_none=True)
        | session_key(session.account_id, session.id)
        | {"accountShard": f"{session.account_id}#{session.id[0]}", "writeId": write_id}
        | ({"fingerprint": fingerprint} if fingerprint else {})
        | ({"expiresAt": now + RETENTION_SECONDS} if RETENTION_SECONDS else {})
    )
    try:
        call(
            client.put_item,
            TableName=SESSIONS_TABLE,
            Item=item,
            ConditionExpression="attribute_not_exists(pk) OR expiresAt <= :now",
            ExpressionAttributeValues=to_wire({":now": now}),
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    except client.exceptions.ConditionalCheckFailedException as error:
        earlier = to_stored_session(from_wire(error.response["Item"]))  # type: ignore[typeddict-item]
        if earlier.write_id == write_id:
            return None
        if fingerprint is None:
            raise
        return earlier
    except CallFailedError as error:
        if error.may_be_applied and fingerprint is None:
            message = f"Session {session.id} may have been created."
            raise ServiceError("OutcomeUnknown", message, session_id=session.id) from error
        raise ServiceError("ServiceUnavailable", session_id=session.id) from error
    return None


def update_session(stored: StoredSession, session: SessionInfo) -> StoredSession | None:
    """Store the changed attributes of a session once. Return None if they are stored.

    The update succeeds only if each of these attributes still equals its value in `stored`. If another request changed
    one of them, return the session as it is now. `changeId` is one of these attributes. It identifies the latest update
    of an item. An attempt with an unknown outcome is repeated.

        outcome of `call`       stored item                  then
        answered                ours                         None
        condition failed        ours: the same changeId      None
        condition failed        changed by another request   return it
        condition failed        none: it was deleted         NotFound
        refused, not applied    unchanged                    ServiceUnavailable
        unknown                 perhaps ours                 ServiceUnavailable

    Raise ServiceError.
    """
    change_id, earlier = secrets.token_hex(16), stored.item
    attributes = session.model_dump(mode="json", exclude_none=True) | {"changeId": change_id}
    changes = {name: value for name, value in attributes.items() if value != earlier.get(name)}
    conditions = [f"#{name} = :old_{name}" if name in earlier else f"attribute_not_exists(#{name})" for name in changes]
    values = {f":new_{name}": value for name, value in changes.items()}
    values |= {f":old_{name}": earlier[name] for name in changes if name in earlier}
    try:
        call(
            client.update_item,
            TableName=SESSIONS_TABLE,
            Key=to_wire(session_key(session.account_id, session.id)),
            UpdateExpression="SET " + ", ".join(f"#{name} = :new_{name}" for name in changes),
            ConditionExpression=" AND ".join(conditions),
            ExpressionAttributeNames={f"#{name}": name for name in changes},
            ExpressionAttributeValues=to_wire(values),
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    except client.exceptions.ConditionalCheckFailedException as error:
        if "Item" not in error.response:
            raise ServiceError("NotFound", session_id=session.id) from error
        item = from_wire(error.response["Item"])  # type: ignore[typeddict-item]
        return None if item.get("changeId") == change_id else to_stored_session(item)
    except CallFailedError as error:
        raise ServiceError("ServiceUnavailable", session_id=session.id) from error
    return None


def to_stored_session(item: Mapping[str, Any]) -> StoredSession:
    """Return an item of the Sessions table as a session."""
    return StoredSession(SessionInfo.model_validate(item), item.get("fingerprint"), item.get("writeId"), item)


def to_person(entry: Mapping[str, Any]) -> Person:
    """Return a Directory entry of a user, an address or a team's member as a person."""
    return Person(entry["userId"], entry["name"], entry.get("endpointId"), entry.get("avatarUrl"))
