"""Every error that the API answers, in one table, and the one exception that carries them to the edge."""

from dataclasses import dataclass, field
from typing import NamedTuple


class ErrorKind(NamedTuple):
    status: int
    message: str


# The source for the replies, the OpenAPI document and the tests. A message never repeats what the client sent.
ERRORS = {
    "SerializationException": ErrorKind(400, "The body must be a JSON object in UTF-8."),
    "ValidationException": ErrorKind(400, "The request is not valid."),
    "Unauthorized": ErrorKind(401, "A valid access token is required."),
    "Forbidden": ErrorKind(403, "The caller needs the role User and an account."),
    "NotAcceptable": ErrorKind(406, "Replies are JSON, which the client does not accept."),
    "RequestTooLarge": ErrorKind(413, "The body is larger than 64 KB."),
    "InternalServerError": ErrorKind(500, "Something went wrong on our side. The session was not created."),
    "ServiceUnavailable": ErrorKind(503, "The session was not created. Try again shortly."),
    "OutcomeUnknown": ErrorKind(504, "The session may have been created."),
}


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field that the request must change: a code for programs and a sentence for people.

    `field` is the contract's name of it, with the index for the entry of a list: `memberEmailAddresses[1]`.
    """

    code: str
    field: str
    message: str


@dataclass(slots=True)
class ServiceError(Exception):
    """A refusal or failure to tell the client about. `code` is a key of ERRORS; `message` replaces the table's."""

    code: str
    message: str = ""
    errors: list[FieldError] = field(default_factory=list)

    @property
    def status(self) -> int:
        """The HTTP status of the reply."""
        return ERRORS[self.code].status
