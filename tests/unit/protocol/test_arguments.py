"""What is told of arguments that an action does not take."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderd.protocol.envelope import Command
from orderd.protocol.names import Queue
from orderd.shop.registry import SHOP
from tests.unit.protocol.bodies import CREATE, command, invalid, read


def test_unknown_fields_in_data_are_an_error_that_names_them() -> None:
    one = invalid(CREATE | {"data": CREATE["data"] | {"colour": "red", "Name": 1}})

    assert one.code == "invalid_data"
    assert one.message == (
        "data.colour is not a field of this action; data.Name is not a field of this action"
    )


def test_an_unknown_field_of_an_item_is_named_with_its_place() -> None:
    items = [{"product_id": 1, "quantity": 1}, {"product_id": 1, "quantity": 1, "price": 0}]

    one = invalid({"action": "create", "data": {"user_id": 1, "items": items}}, "order")

    assert one.message == "data.items[1].price is not a field of this action"


def test_every_fault_is_told_with_its_field_and_value() -> None:
    one = invalid({"action": "create", "data": {"price": -1, "stock_quantity": "5"}})

    assert one.message == (
        "data.name is missing; data.price must be at least 0 and less than 10^10; got -1; "
        "data.stock_quantity must be an integer; got '5'"
    )


def test_a_long_list_of_faults_and_long_values_are_cut() -> None:
    items = [{"product_id": "x" * 1000, "quantity": 1}] * 50

    one = invalid({"action": "create", "data": {"user_id": 1, "items": items}}, "order")

    assert one.message.endswith("...; and 40 more")
    assert len(one.message) < 3000


@pytest.mark.parametrize(
    ("name", "shown"), [("☃", "☃" * 50), ("\ud800☃", "\\ud800\\u2603" * 2), ("\n", "\\n" * 50)]
)
def test_a_hostile_field_name_is_cut_and_plain(name: str, shown: str) -> None:
    one = invalid(CREATE | {"data": CREATE["data"] | {name * 5000: 1}})

    assert one.code == "invalid_data"
    assert shown in one.message
    assert len(one.message) < 1000


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("größe", "data.größe"),
        ("数量", "data.数量"),
        ("stock quantity", "data['stock quantity']"),
        ("a.b", "data['a.b']"),
        ("", "data['']"),
    ],
)
def test_field_names_can_be_read(name: str, path: str) -> None:
    one = invalid(CREATE | {"data": CREATE["data"] | {name: 1}})

    assert one.message == f"{path} is not a field of this action"


@pytest.mark.parametrize("data", [None, [], "x", 1, False])
def test_data_is_an_object(data: object) -> None:
    one = invalid({"action": "create", "data": data})

    assert one.code == "invalid_data"
    assert one.message.startswith("data must be an object; got ")


def test_data_may_be_left_out_where_nothing_is_required() -> None:
    command({"action": "health_check"})
    command({"action": "list"})
    assert invalid({"action": "create"}).message.startswith("data.name is missing; ")


@pytest.mark.parametrize(
    ("queue", "arguments", "names"),
    [
        ("product", {"id": 1}, "name, price, stock_quantity"),
        ("product", {"id": 1, "if_revision": 1}, "name, price, stock_quantity"),
        ("user", {"id": 1}, "email, full_name, is_active"),
        ("user", {"id": 1, "if_revision": 1}, "email, full_name, is_active"),
        ("order", {"order_id": 1}, "status, items"),
        ("order", {"order_id": 1, "if_revision": 1}, "status, items"),
    ],
)
def test_an_update_needs_something_to_change(
    queue: str, arguments: dict[str, Any], names: str
) -> None:
    one = invalid({"action": "update", "data": arguments}, queue)

    assert one.message == f"data must have at least one of {names}"


def test_an_order_is_got_by_id_or_order_id() -> None:
    command({"action": "get", "data": {"id": 1}}, "order")
    command({"action": "get", "data": {"order_id": 1}}, "order")
    for arguments in ({}, {"id": 1, "order_id": 1}):
        one = invalid({"action": "get", "data": arguments}, "order")
        assert one.message == "data must have either id or order_id"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
fields = st.sampled_from(
    [
        "id",
        "if_revision",
        "name",
        "price",
        "stock_quantity",
        "delta",
        "username",
        "email",
        "full_name",
        "is_active",
        "user_id",
        "items",
        "order_id",
        "status",
        "priority",
        "limit",
        "after",
        "in_stock",
    ]
)


@given(
    queue=st.sampled_from(list(Queue)),
    action=st.sampled_from(
        sorted({action for models in SHOP.models.values() for _, action in models})
    ),
    arguments=st.dictionaries(fields, json_values),
)
def test_any_arguments_are_a_command_or_invalid(
    queue: Queue, action: str, arguments: dict[str, Any]
) -> None:
    one = read({"action": action, "version": "v2", "data": arguments}, queue)

    assert isinstance(one, Command) or one.code in {"invalid_data", "unknown_action"}
