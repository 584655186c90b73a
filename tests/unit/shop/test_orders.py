from decimal import Decimal
from typing import Any

import pytest

from orderd.shop.order_rows import Order, OrderItem
from orderd.shop.outcomes import Answered
from orderd.shop.products import PRODUCTS
from tests.unit.shop.worlds import (
    ANN,
    DESK,
    LAMP,
    NOW,
    THEN,
    applied,
    do,
    events,
    items,
    order,
    refused,
    stock,
    world_of,
)


def test_a_new_order_takes_the_stock_at_the_current_prices() -> None:
    world = world_of()

    decision = do(world, "order", "create", {"user_id": 1, "items": items(desk=2, lamp=5)})

    assert applied(decision).row == Order(
        100,
        ANN.id,
        "pending",
        "normal",
        Decimal("300.48"),
        (OrderItem(100, 1, 2, DESK.price), OrderItem(101, 2, 5, LAMP.price)),
        NOW,
        NOW,
        1,
    )
    assert events(decision) == [("order.created", "order/100")]
    assert stock(world) == (8, 0, 0)
    assert world.rows[PRODUCTS][1].updated_at == NOW
    assert world.rows[PRODUCTS][3].updated_at == THEN


def test_the_same_product_twice_is_one_line_with_the_sum() -> None:
    world = world_of()
    wanted = items(desk=1) + items(lamp=1) + items(desk=2)

    row = applied(do(world, "order", "create", {"user_id": 1, "items": wanted})).row

    assert isinstance(row, Order)
    assert [(item.product_id, item.quantity) for item in row.items] == [(1, 3), (2, 1)]
    assert stock(world) == (7, 4, 0)
    assert world.fresh_ids.used["order_items"] == 2


def test_the_sum_must_be_in_stock() -> None:
    world = world_of()
    wanted = items(lamp=3) + items(lamp=3)

    decision = do(world, "order", "create", {"user_id": 1, "items": wanted})

    message = refused(decision, "insufficient_stock")
    assert message == "Insufficient stock: product 2 has 5, 6 ordered"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ({"user_id": 99}, "user_not_found", "User 99 does not exist"),
        ({"user_id": 2}, "user_inactive", "User 2 is not active"),
        ({"items": items(other=1)}, "product_not_found", "Product 99 does not exist"),
        ({"items": items(desk=1, other=1)}, "product_not_found", "Product 99 does not exist"),
        (
            {"items": items(desk=1, shelf=1)},
            "insufficient_stock",
            "Insufficient stock: product 3 has 0, 1 ordered",
        ),
    ],
)
def test_a_refused_order_takes_nothing(arguments: dict[str, Any], code: str, message: str) -> None:
    world = world_of(arriving=frozenset())

    decision = do(
        world, "order", "create", {"user_id": 1, "items": items(desk=1), **arguments}
    )  # fmt: skip

    assert refused(decision, code) == message
    assert events(decision) == [("order.refused", "order")]
    assert stock(world) == (10, 5, 0)
    assert set(world.fresh_ids.used.values()) == {0}


def test_an_order_of_v1_has_the_normal_priority() -> None:
    row = applied(
        do(world_of(), "order", "create", {"user_id": 1, "items": items(desk=1)}, version="v1")
    ).row
    high = applied(
        do(world_of(), "order", "create",
           {"user_id": 1, "items": items(desk=1), "priority": "high"})
    ).row  # fmt: skip

    assert isinstance(row, Order)
    assert isinstance(high, Order)
    assert (row.priority, high.priority) == ("normal", "high")


@pytest.mark.parametrize(
    ("action", "arguments"),
    [("update", {"status": "shipped"}), ("update_status", {"status": "shipped"}), ("get", {})],
)
def test_an_unknown_order_is_refused_at_once(action: str, arguments: dict[str, Any]) -> None:
    decision = do(world_of(arriving=None), "order", action, {"order_id": 99, **arguments})

    assert refused(decision, "order_not_found") == "Order 99 does not exist"


@pytest.mark.parametrize("name", ["id", "order_id"])
def test_an_order_is_got_with_its_items(name: str) -> None:
    before = order(desk=2, lamp=1)

    assert do(world_of(before), "order", "get", {name: 7}).outcome == Answered(before.json())
