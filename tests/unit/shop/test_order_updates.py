from decimal import Decimal
from typing import Any

import pytest

from orderd.shop.order_rows import ORDERS, Order, OrderItem
from orderd.shop.products import PRODUCTS
from orderd.shop.world import World
from tests.unit.shop.worlds import (
    DESK,
    LAMP,
    NOW,
    applied,
    do,
    events,
    items,
    order,
    refused,
    stock,
    world_of,
)


def updated(world: World, **changes: Any) -> Order:
    row = applied(do(world, "order", "update", {"order_id": 7, **changes})).row
    assert isinstance(row, Order)
    return row


def test_an_update_moves_only_the_difference() -> None:
    world = world_of(order(desk=4, lamp=3))

    row = updated(world, items=items(desk=6, lamp=1))

    assert [(item.product_id, item.quantity) for item in row.items] == [(1, 6), (2, 1)]
    assert stock(world) == (8, 7, 0)


def test_kept_products_keep_their_item_and_its_price() -> None:
    world = world_of(order(desk=1))

    row = updated(world, items=items(lamp=2, desk=3))

    assert row.items == (
        OrderItem(11, 1, 3, Decimal("100.00")),
        OrderItem(100, 2, 2, LAMP.price),
    )
    assert row.total_amount == Decimal("300.20")
    assert row.updated_at == NOW


def test_a_removed_product_goes_back_and_has_the_new_price_when_it_returns() -> None:
    world = world_of(order(desk=4))

    updated(world, items=items(lamp=1))
    assert stock(world) == (14, 4, 0)
    row = updated(world, items=items(desk=4))

    assert stock(world) == (10, 5, 0)
    assert row.items == (OrderItem(101, 1, 4, DESK.price),)


def test_an_update_may_take_what_the_order_itself_holds() -> None:
    world = world_of(order(lamp=3))

    updated(world, items=items(lamp=8))
    assert stock(world) == (10, 0, 0)

    decision = do(world, "order", "update", {"order_id": 7, "items": items(lamp=9)})
    message = refused(decision, "insufficient_stock")
    assert message == "Insufficient stock: product 2 has 0, 1 ordered"
    assert stock(world) == (10, 0, 0)


def test_a_refused_update_gives_nothing_back_either() -> None:
    world = world_of(order(desk=4), arriving=frozenset())

    for wanted, code in ((items(shelf=1), "insufficient_stock"),
                         (items(other=1), "product_not_found"),
                         (items(shelf=1, other=1), "product_not_found")):  # fmt: skip
        decision = do(world, "order", "update", {"order_id": 7, "items": wanted})
        refused(decision, code)
        assert events(decision) == [("order.refused", "order/7")]

    assert stock(world) == (10, 5, 0)
    assert world.rows[ORDERS][7] == order(desk=4)


@pytest.mark.parametrize("status", ["shipped", "delivered", "cancelled"])
@pytest.mark.parametrize("changes", [{"items": items(desk=1)}, {"priority": "high"}])
def test_a_closed_order_is_not_edited(status: str, changes: dict[str, Any]) -> None:
    world = world_of(order(status, desk=1))

    decision = do(world, "order", "update", {"order_id": 7, **changes})

    message = refused(decision, "order_not_editable")
    assert message == f"Order 7 is {status} and cannot be changed any more"


@pytest.mark.parametrize("status", ["pending", "processing"])
def test_an_open_order_is_edited(status: str) -> None:
    decision = do(world_of(order(status, desk=1)), "order", "update",
                  {"order_id": 7, "priority": "high"})  # fmt: skip

    row = applied(decision).row
    assert isinstance(row, Order)
    assert (row.priority, row.status) == ("high", status)
    assert events(decision) == [("order.updated", "order/7")]


@pytest.mark.parametrize(
    "same",
    [{"items": items(desk=2)}, {"items": items(desk=1) * 2}, {"priority": "normal"},
     {"status": "pending"}, {"status": "pending", "priority": "normal", "items": items(desk=2)}],
)  # fmt: skip
def test_what_changes_nothing_is_no_event(same: dict[str, Any]) -> None:
    world = world_of(before := order(desk=2))

    decision = do(world, "order", "update", {"order_id": 7, **same})

    assert applied(decision).row is before
    assert decision.events == ()
    assert world.changed_rows(ORDERS) == []
    assert world.changed_rows(PRODUCTS) == []


def test_items_and_status_change_together_with_an_event_each() -> None:
    world = world_of(order(desk=2))

    decision = do(
        world, "order", "update", {"order_id": 7, "items": items(desk=1), "status": "shipped"}
    )

    assert events(decision) == [("order.updated", "order/7"), ("order.shipped", "order/7")]
    assert stock(world) == (11, 5, 0)


def test_an_update_that_cancels_gives_everything_back() -> None:
    world = world_of(order(desk=2))

    decision = do(
        world, "order", "update", {"order_id": 7, "items": items(lamp=5), "status": "cancelled"}
    )

    row = applied(decision).row
    assert isinstance(row, Order)
    assert (row.status, row.total_amount) == ("cancelled", Decimal("0.50"))
    assert stock(world) == (12, 5, 0)
    assert world.rows[PRODUCTS][2] is LAMP


def test_an_update_that_cancels_has_no_items_that_the_shelf_has_not() -> None:
    world = world_of(before := order(desk=2))

    decision = do(
        world, "order", "update", {"order_id": 7, "items": items(lamp=6), "status": "cancelled"}
    )

    message = refused(decision, "insufficient_stock")
    assert message == "Insufficient stock: product 2 has 5, 6 ordered"
    assert world.rows[ORDERS][7] is before
    assert stock(world) == (10, 5, 0)


def test_an_update_that_may_not_change_the_status_changes_nothing_else() -> None:
    world = world_of(before := order(desk=2))

    decision = do(
        world, "order", "update", {"order_id": 7, "items": items(desk=1), "status": "delivered"}
    )

    refused(decision, "invalid_transition")
    assert world.rows[ORDERS][7] is before
    assert stock(world) == (10, 5, 0)
