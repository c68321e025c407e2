"""Powertools' resolver with its validation, as in its documentation."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.utilities.typing import LambdaContext
from session import NewSession, Session, store

app = APIGatewayHttpResolver(enable_validation=True)
logger = Logger(service="sessions")


@app.post("/sessions")
def create_session(new: NewSession) -> Session:
    return store(new, app.current_event.request_context.authorizer.jwt_claim)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return app.resolve(event, context)
