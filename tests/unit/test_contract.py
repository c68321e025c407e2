"""The models, compared with the contract. A new field fails here until each place of CONTRIBUTING has it."""

from datetime import UTC, datetime
from enum import StrEnum

import pytest
from clients import dtos
from pydantic import BaseModel

from aws.wire import from_wire, to_wire
from sessions import enums, models
from sessions.models import NewSession, SessionInfo
from sessions.parsing import parse_request
from sessions.references import Caller, References
from sessions.rules import new_session

ENUMS = [each for each in vars(enums).values() if isinstance(each, type) and issubclass(each, StrEnum) and len(each)]
MODELS = [
    NewSession,
    SessionInfo,
    models.EntityInfo,
    models.CustomerBreadcrumb,
    models.SessionLogInfo,
    models.SessionMemberInfo,
]


def list_fields(model: type[BaseModel]) -> list[str]:
    """Return the names of a model's fields on the wire."""
    return [field.alias or "" for field in model.model_fields.values()]


@pytest.mark.parametrize("enum", ENUMS)
def test_an_enum_has_exactly_the_values_of_the_contract(enum: type[StrEnum]) -> None:
    assert list(enum) == list(getattr(dtos, enum.__name__)), "sessions/enums.py and tests/clients/dtos.py differ"


@pytest.mark.parametrize("model", MODELS)
def test_a_model_has_exactly_the_fields_of_the_contract(model: type[BaseModel]) -> None:
    fields, published = list_fields(model), list(getattr(dtos, model.__name__)().to_dict())
    assert set(fields) ^ set(published) == set(), f"{model.__name__} differs in sessions/models.py and clients/dtos.py"
    assert fields == published


def test_the_clients_send_every_field() -> None:
    missing = set(list_fields(NewSession)) ^ set(dtos.EVERY_FIELD)
    assert missing == set(), "EVERY_FIELD in tests/clients/dtos.py is not complete"


def test_a_session_keeps_every_field_of_its_request_and_can_be_stored() -> None:
    request, errors = parse_request(dtos.EVERY_FIELD)
    assert errors == []
    caller = Caller("ada", "acme", None, None, None, None, None)
    session = new_session(request, caller, References(), "0" * 32, datetime.now(UTC))
    sent = request.model_dump(mode="json", exclude_unset=True)
    stored = session.model_dump(mode="json", exclude_none=True)
    lost = {name for name in sent.keys() & set(list_fields(SessionInfo)) if stored.get(name) != sent[name]}
    assert lost == set(), "new_session in sessions/rules.py does not set each field"
    assert from_wire(to_wire(sent | stored)) == sent | stored
