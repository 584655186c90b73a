"""Orders as other programs wrote them: a command changes what it names, and nothing else."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from orderd.protocol.envelope import Invalid
from orderd.protocol.names import InvalidCode
from orderd.shop.order_rows import ORDERS, Order, OrderItem
from orderd.shop.products import PRODUCTS
from orderd.shop.world import World
from tests.unit.shop.worlds import DESK, applied, do, events, items, order, stock, world_of

DISCOUNTED = replace(order(desk=1), total_amount=Decimal("99.50"))
WITHOUT_LINES = replace(order(), total_amount=Decimal("99.50"))
TWO_LINES = replace(
    order(),
    total_amount=Decimal("560.00"),
    items=(
        OrderItem(11, DESK.id, 2, Decimal("100.00")),
        OrderItem(12, DESK.id, 3, Decimal("120.00")),
    ),
)
QUANTITY_MAX = 10**6


def changed(world: World, action: str, **changes: Any) -> Order:
    row = applied(do(world, "order", action, {"order_id": 7, **changes})).row
    assert isinstance(row, Order)
    return row


@pytest.mark.parametrize("before", [DISCOUNTED, WITHOUT_LINES, TWO_LINES])
@pytest.mark.parametrize("status", ["processing", "shipped", "cancelled"])
def test_another_status_keeps_the_total_and_the_lines(before: Order, status: str) -> None:
    world = world_of(before)

    decision = do(world, "order", "update_status", {"order_id": 7, "status": status})

    row = applied(decision).row
    assert isinstance(row, Order)
    assert (row.status, row.revision) == (status, 2)
    assert (row.total_amount, row.items) == (before.total_amount, before.items)
    assert events(decision) == [(f"order.{status}", "order/7")]


@pytest.mark.parametrize("before", [DISCOUNTED, WITHOUT_LINES, TWO_LINES])
@pytest.mark.parametrize("status", ["pending", "processing", "shipped", "delivered", "cancelled"])
def test_the_status_that_an_order_has_already_changes_nothing(before: Order, status: str) -> None:
    world = world_of(before := replace(before, status=status))

    decision = do(world, "order", "update_status", {"order_id": 7, "status": status})

    assert applied(decision).row is before
    assert decision.events == ()
    assert world.changed_rows(ORDERS) == []


@pytest.mark.parametrize("before", [DISCOUNTED, WITHOUT_LINES, TWO_LINES])
def test_another_priority_keeps_the_total_and_the_lines(before: Order) -> None:
    row = changed(world_of(before), "update", priority="high")

    assert row == replace(before, priority="high", updated_at=row.updated_at, revision=2)


@pytest.mark.parametrize(("before", "same"), [(DISCOUNTED, 1), (TWO_LINES, 5)])
def test_items_that_the_order_has_already_keep_the_total(before: Order, same: int) -> None:
    world = world_of(before)

    assert changed(world, "update", items=items(desk=same)) is before
    assert world.changed_rows(PRODUCTS) == []


def test_other_items_have_their_own_total() -> None:
    row = changed(world_of(DISCOUNTED), "update", items=items(desk=2))

    assert row.total_amount == Decimal("200.00")


def test_cancelling_gives_back_the_sum_of_all_lines() -> None:
    world = world_of(TWO_LINES)

    changed(world, "update_status", status="cancelled")

    assert stock(world) == (15, 5, 0)


@pytest.mark.parametrize(
    ("quantity", "kept", "left"),
    [
        (7, {11: 2, 12: 5}, 8),
        (4, {11: 2, 12: 2}, 11),
        (2, {11: 2}, 13),
        (1, {11: 1}, 14),
    ],
)
def test_of_two_lines_of_a_product_the_last_one_is_changed_first(
    quantity: int, kept: dict[int, int], left: int
) -> None:
    world = world_of(TWO_LINES)

    row = changed(world, "update", items=items(desk=quantity))

    assert {item.id: item.quantity for item in row.items} == kept
    assert row.total_amount == sum(item.unit_price * item.quantity for item in row.items)
    assert stock(world)[0] == left


def test_what_cannot_be_given_back_does_not_keep_an_order_from_being_cancelled() -> None:
    world = world_of(order(desk=2))
    world.rows[PRODUCTS][DESK.id] = replace(DESK, stock_quantity=-5)

    changed(world, "update_status", status="cancelled")

    assert stock(world)[0] == -3


@pytest.mark.parametrize(
    ("action", "named"), [("create", {"user_id": 1}), ("update", {"order_id": 7})]
)
def test_items_of_one_product_are_no_more_in_all_than_one_item_may_be(
    action: str, named: dict[str, int]
) -> None:
    world = world_of(replace(DESK, stock_quantity=2 * QUANTITY_MAX), order(desk=1))
    doubled = [*items(desk=QUANTITY_MAX), *items(desk=1)]

    decision = do(world, "order", action, {**named, "items": doubled})

    assert decision.outcome == Invalid(
        InvalidCode.INVALID_DATA,
        "data.items: product 1 adds up to a quantity of 1000001; at most 1000000 are allowed",
    )
    applied(do(world, "order", action, {**named, "items": items(desk=QUANTITY_MAX)}))
