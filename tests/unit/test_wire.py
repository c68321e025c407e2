"""Our values on DynamoDB's wire, held against boto3's own serialiser, which the layer does not have."""

from typing import Any

import pytest
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from hypothesis import given
from hypothesis import strategies as st

from aws.wire import from_wire, to_wire

names = st.text(max_size=5)
values = st.recursive(
    st.text() | st.booleans(), lambda each: st.lists(each) | st.dictionaries(names, each), max_leaves=10
)


@given(st.dictionaries(names, values, max_size=5))
def test_items_are_written_and_read_as_boto3_does(attributes: dict[str, Any]) -> None:
    item = {name: TypeSerializer().serialize(value) for name, value in attributes.items()}
    assert to_wire(attributes) == item
    assert (
        from_wire(item) == {name: TypeDeserializer().deserialize(value) for name, value in item.items()} == attributes
    )


@pytest.mark.parametrize("value", [1, 1.5, None, [None], {"a": 1}])
def test_what_our_items_do_not_have_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        to_wire({"name": value})


def test_a_null_that_another_component_stored_is_none() -> None:
    assert from_wire({"outcome": {"NULL": True}}) == {"outcome": None}
