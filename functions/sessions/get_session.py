"""`GET /sessions/{sessionId}`: a session of the caller's account, as it is now."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from sessions import api, collect_from_now_on, store
from sessions.references import Caller

collect_from_now_on()


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Reply the session that an HTTP API event (payload 2.0) names. Answers every request; raises nothing."""
    return api.answer(event, context, get_session)


def get_session(event: dict[str, Any], _: LambdaContext, caller: Caller) -> api.Reply:
    """The session or a ServiceError. An id that no session can have is one that the account does not have."""
    session_id: str = event["pathParameters"]["sessionId"]
    return api.Reply("Found", store.get_session(caller.account_id, session_id.removesuffix(".json")))
