"""The models against the published page: every name and every spelling."""

from enum import StrEnum

import pytest
from pydantic import BaseModel

from sessions import enums, models

ENUMS = {
    enums.FlowChannels: ["Voice", "Chat", "Fax"],
    enums.SessionDirections: ["Incoming", "Outgoing"],
    enums.SessionCallState: ["Disconnected", "Ringing", "Connected", "Hold", "Passive"],
    enums.SessionDialState: ["None", "Active"],
    enums.SessionQueueStates: ["None", "Queued", "Ringing", "Connected", "Hold", "Disconnected"],
    enums.SessionHoldReasons: ["None", "Transferring"],
    enums.SessionMemberCallState: ["None", "Ringing", "Connected", "Hold"],
    enums.SessionMemberRoles: ["None", "Caller", "Agent", "Transfer"],
}

FIELDS: dict[type[BaseModel], str] = {
    models.NewSession: """displayName channel direction callState fromAddress fromName toAddress parentSessionId
        customerId withAddress fromPhoneNumber destination memberEmailAddresses startSession""",
    models.EntityInfo: "id dateCreated dateLastModified createdBy lastModifiedBy",
    models.SessionInfo: """id dateCreated dateLastModified createdBy lastModifiedBy
        dialState callState queueState accountId accountName customerId customerBreadcrumb customerName endpointId
        endpointName dateCompleted destination toAddress fromAddress fromName answeredByName queueMemberId channel ended
        outcome callSid consoleData holdQueueName heldByUserId holdReason conferenceSid displayName log members
        callbackNumber answeredById direction fromPhoneNumber mostRecentParticipantCallSid wasMissed ringQueueId""",
    models.CustomerBreadcrumb: "id name",
    models.SessionLogInfo: "date message",
    models.SessionMemberInfo: """identity endpointId displayName isOriginalMember avatarUrl applicationData callState
        role callSid muted""",
}


@pytest.mark.parametrize(("enum", "values"), ENUMS.items(), ids=lambda each: getattr(each, "__name__", ""))
def test_an_enum_has_exactly_the_values_of_the_contract(enum: type[StrEnum], values: list[str]) -> None:
    assert [member.value for member in enum] == values


@pytest.mark.parametrize(("model", "names"), FIELDS.items(), ids=lambda each: getattr(each, "__name__", ""))
def test_a_model_has_exactly_the_fields_of_the_contract(model: type[BaseModel], names: str) -> None:
    assert [field.alias for field in model.model_fields.values()] == names.split()
