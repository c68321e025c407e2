"""The enums of the contract, in its exact spelling. Generated clients fail on any other value."""

from enum import StrEnum
from typing import Self


class RequestEnum(StrEnum):
    """An enum that a client may send in any casing, as ServiceStack also allows. Responses have the exact spelling."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        return next((member for member in cls if isinstance(value, str) and member.lower() == value.lower()), None)


class FlowChannels(RequestEnum):
    VOICE = "Voice"
    CHAT = "Chat"
    FAX = "Fax"


class SessionDirections(RequestEnum):
    INCOMING = "Incoming"
    OUTGOING = "Outgoing"


class SessionCallState(RequestEnum):
    DISCONNECTED = "Disconnected"
    RINGING = "Ringing"
    CONNECTED = "Connected"
    HOLD = "Hold"
    PASSIVE = "Passive"


class SessionDialState(StrEnum):
    NONE = "None"
    ACTIVE = "Active"


class SessionQueueStates(StrEnum):
    NONE = "None"
    QUEUED = "Queued"
    RINGING = "Ringing"
    CONNECTED = "Connected"
    HOLD = "Hold"
    DISCONNECTED = "Disconnected"


class SessionHoldReasons(StrEnum):
    NONE = "None"
    TRANSFERRING = "Transferring"


class SessionMemberCallState(StrEnum):
    NONE = "None"
    RINGING = "Ringing"
    CONNECTED = "Connected"
    HOLD = "Hold"


class SessionMemberRoles(StrEnum):
    NONE = "None"
    CALLER = "Caller"
    AGENT = "Agent"
    TRANSFER = "Transfer"
