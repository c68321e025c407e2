"""The table of all errors of the API, and the one exception that carries an error to the handler."""

from collections.abc import Sequence
from typing import NamedTuple


class ErrorKind(NamedTuple):
    status: int
    message: str
    when: str


# The source of responses (status, message) and of the documents (when). No message contains values of a request.
ERRORS = {
    "SerializationException": ErrorKind(
        400,
        "The body must be a JSON object or a form, in UTF-8.",
        "The body is something else than a JSON object or a form in UTF-8. Nothing is stored.",
    ),
    "ValidationException": ErrorKind(
        400,
        "The request is not valid.",
        "Fields are not valid; `errors` names each. Nothing is stored.",
    ),
    "Unauthorized": ErrorKind(
        401,
        "A valid token is required.",
        "The gateway passed no claims. It answers a missing or invalid token itself, without a `responseStatus`.",
    ),
    "Forbidden": ErrorKind(
        403,
        "The caller needs the role User and an account.",
        "The caller lacks the role `User`. Or the token has no valid account or user, or a claim is not a string.",
    ),
    "NotFound": ErrorKind(
        404,
        "The account has no such session.",
        "The account has no session with this id.",
    ),
    "NotAcceptable": ErrorKind(
        406,
        "Replies are JSON, which the client does not accept.",
        "The client does not accept JSON. Nothing is stored.",
    ),
    "RequestTooLarge": ErrorKind(
        413,
        "The body is larger than 64 KB.",
        "The body has more than 65,536 bytes. Nothing is stored.",
    ),
    "UnsupportedMediaType": ErrorKind(
        415,
        "A body must have no Content-Encoding other than identity.",
        "The request has a `Content-Encoding` other than `identity`, such as gzip. Nothing is stored.",
    ),
    "IdempotencyKeyReused": ErrorKind(
        422,
        "The Idempotency-Key was used with a different request.",
        "The `Idempotency-Key` was used with a different request. Nothing is stored.",
    ),
    "InternalServerError": ErrorKind(
        500,
        "Something went wrong on our side.",
        "A bug of the service, or a damaged item. The log contains the traceback under the request id.",
    ),
    "ServiceUnavailable": ErrorKind(
        503,
        "The service is not available. Try again shortly.",
        "DynamoDB throttles or fails, or too many requests change one session. Send the request again after "
        "`Retry-After` seconds. A retry is safe. If a create had no `Idempotency-Key`, nothing was stored. If it had "
        "one, the retry creates no second session. To end a session twice changes nothing.",
    ),
    "OutcomeUnknown": ErrorKind(
        504,
        "The session may have been created.",
        "DynamoDB gave no definite answer. The session may be stored; `message` contains its id.",
    ),
}


class FieldError(NamedTuple):
    """An invalid field of a request.

    `code` is for programs, `message` for people. `field` is the contract's name of the field. For an entry of a list it
    includes the index: `memberEmailAddresses[1]`.
    """

    code: str
    field: str
    message: str


class ServiceError(Exception):
    """An error response. `code` is a key of ERRORS; `message` replaces the message of the table.

    `session_id` is for the log: the session of the request, which may be stored in spite of the error.
    """

    def __init__(
        self, code: str, message: str = "", errors: Sequence[FieldError] = (), session_id: str | None = None
    ) -> None:
        super().__init__(code, message)
        self.code, self.message, self.errors, self.session_id = code, message, errors, session_id
        self.status = ERRORS[code].status
