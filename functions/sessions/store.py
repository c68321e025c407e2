"""The sessions table. The only module of the bundle that talks to DynamoDB.

    pk                attributes
    <account>#<id>    the session as the API replies it, and what the request said that a reply does not repeat

An account's sessions spread over all partitions, because the id is random, and one is read by its key alone. Listing an
account's sessions newest first needs an index on `accountId` and `dateCreated`, which each item has already.
"""

import os
from contextvars import ContextVar
from typing import Any

import boto3
from boto3.dynamodb.types import TypeSerializer
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ProxyConnectionError,
)

from sessions.errors import ServiceError
from sessions.models import NewSession, SessionInfo

TABLE = os.environ["SESSIONS_TABLE"]

# Three attempts of 3 s and at most 3 s of back-off in between end before the function's timeout of 15 s.
client = boto3.client(
    "dynamodb",
    config=Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 3}),
)
serialize = TypeSerializer().serialize

# Whether an attempt of the current put may have been applied although no definite answer came.
outcome_unknown: ContextVar[bool] = ContextVar("outcome_unknown")
NEVER_SENT = (ConnectTimeoutError, EndpointConnectionError, ProxyConnectionError)


def note_attempt(parsed_response: dict[str, Any] | None, exception: Exception | None, **_: object) -> None:
    """Take note of an attempt after which DynamoDB may or may not hold the item: no answer, or a 5xx."""
    if parsed_response is None:
        unknown = not isinstance(exception, NEVER_SENT)
    else:
        unknown = parsed_response["ResponseMetadata"]["HTTPStatusCode"] >= 500
    if unknown:
        outcome_unknown.set(True)


client.meta.events.register("response-received.dynamodb.PutItem", note_attempt)


def session_key(account_id: str, session_id: str) -> str:
    """The key of a session. Unambiguous: an account's id holds no # and a session's id is 32 hex digits."""
    return f"{account_id}#{session_id}"


def put_session(session: SessionInfo, request: NewSession) -> None:
    """Store a new session, once, even if the SDK has to repeat the put.

    Raises ServiceError: ServiceUnavailable when nothing was stored, OutcomeUnknown when nobody can tell.
    """
    attributes = (
        request.model_dump(mode="json", exclude_unset=True)
        | session.model_dump(mode="json", exclude_none=True)
        | {"pk": session_key(session.account_id, session.id)}
    )
    item = {name: serialize(value) for name, value in attributes.items()}
    outcome_unknown.set(False)
    try:
        client.put_item(
            TableName=TABLE,
            Item=item,
            ConditionExpression="attribute_not_exists(pk)",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    except (ClientError, BotoCoreError) as error:
        if isinstance(error, client.exceptions.ConditionalCheckFailedException) and error.response.get("Item") == item:
            return  # An earlier attempt of this very put was applied and its answer was lost.
        if outcome_unknown.get():
            raise ServiceError("OutcomeUnknown", f"Session {session.id} may have been created.") from error
        raise ServiceError("ServiceUnavailable") from error
