"""FastAPI behind Mangum, as in their documentation."""

from fastapi import FastAPI, Request
from mangum import Mangum
from session import NewSession, Session, store

app = FastAPI()


@app.post("/sessions", response_model_exclude_none=True)
def create_session(new: NewSession, request: Request) -> Session:
    return store(new, request.scope["aws.event"]["requestContext"]["authorizer"]["jwt"]["claims"])


handler = Mangum(app, lifespan="off")
