"""DynamoDB's wire format, compared with boto3's serializer."""

from typing import Any

import pytest
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from hypothesis import given
from hypothesis import strategies as st

from aws.wire import from_wire, to_wire

names = st.text(max_size=5)
values = st.recursive(
    st.text() | st.booleans() | st.integers(-(10**37), 10**37),
    lambda each: st.lists(each) | st.dictionaries(names, each),
    max_leaves=10,
)


@given(st.dictionaries(names, values, max_size=5))
def test_attributes_are_written_and_read_as_by_boto3(attributes: dict[str, Any]) -> None:
    item = {name: TypeSerializer().serialize(value) for name, value in attributes.items()}
    read = {name: TypeDeserializer().deserialize(value) for name, value in item.items()}
    assert to_wire(attributes) == item
    assert from_wire(item) == read == attributes


@pytest.mark.parametrize("value", [1.5, None, [None], {"a": 1.5}])
def test_a_fraction_or_null_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        to_wire({"name": value})


def test_a_stored_null_is_read_as_none() -> None:
    assert from_wire({"outcome": {"NULL": True}}) == {"outcome": None}
