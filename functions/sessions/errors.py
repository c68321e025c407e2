"""Every error that the API answers, in one table, and the one exception that carries them to the edge."""

from collections.abc import Sequence
from typing import NamedTuple


class ErrorKind(NamedTuple):
    status: int
    message: str
    when: str


# The source for the replies (status, message) and for the OpenAPI document (when). No message repeats what was sent.
ERRORS = {
    "SerializationException": ErrorKind(
        400,
        "The body must be a JSON object in UTF-8.",
        "The body is not a JSON object, or not UTF-8. Nothing is stored.",
    ),
    "ValidationException": ErrorKind(
        400,
        "The request is not valid.",
        "Fields are not valid; `errors` names each. Nothing is stored.",
    ),
    "Unauthorized": ErrorKind(
        401,
        "A valid access token is required.",
        "The function got no claims. The gateway itself answers a missing or bad token, with `message` alone.",
    ),
    "Forbidden": ErrorKind(
        403,
        "The caller needs the role User and an account.",
        "The caller lacks the role `User`, or the token names no account or user.",
    ),
    "NotFound": ErrorKind(
        404,
        "The account has no such session.",
        "The account has no session with this id, whatever other accounts have.",
    ),
    "NotAcceptable": ErrorKind(
        406,
        "Replies are JSON, which the client does not accept.",
        "The client excludes JSON. Nothing is stored.",
    ),
    "RequestTooLarge": ErrorKind(
        413,
        "The body is larger than 64 KB.",
        "The body has more than 65,536 bytes. Nothing is stored.",
    ),
    "IdempotencyKeyReused": ErrorKind(
        422,
        "The Idempotency-Key was used with another request.",
        "The `Idempotency-Key` was used with another request. Nothing is stored.",
    ),
    "InternalServerError": ErrorKind(
        500,
        "Something went wrong on our side.",
        "A bug; it is logged under the request id.",
    ),
    "ServiceUnavailable": ErrorKind(
        503,
        "The service is not available. Try again shortly.",
        "DynamoDB throttles or fails. Send the request again after `Retry-After` seconds: nothing was stored, or the "
        "`Idempotency-Key` makes it safe.",
    ),
    "OutcomeUnknown": ErrorKind(
        504,
        "The session may have been created.",
        "No definite answer from DynamoDB: the session, whose id `message` names, may be stored.",
    ),
}


class FieldError(NamedTuple):
    """One field that the request must change: a code for programs and a sentence for people.

    `field` is the contract's name of it, with the index for the entry of a list: `memberEmailAddresses[1]`.
    """

    code: str
    field: str
    message: str


class ServiceError(Exception):
    """A refusal or failure to tell the client about. `code` is a key of ERRORS; `message` replaces the table's.

    `session_id` is for the log: the session that may be stored all the same.
    """

    def __init__(
        self, code: str, message: str = "", errors: Sequence[FieldError] = (), session_id: str | None = None
    ) -> None:
        super().__init__(code, message)
        self.code, self.message, self.errors, self.session_id = code, message, errors, session_id

    @property
    def status(self) -> int:
        """The HTTP status of the reply."""
        return ERRORS[self.code].status
