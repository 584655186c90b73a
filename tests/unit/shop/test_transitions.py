"""The table of statuses, each of its 25 pairs, by both ways of asking."""

from itertools import product
from typing import Any

import pytest

from orderd.shop.order_rows import ORDERS
from orderd.shop.order_status import STATUSES
from orderd.shop.products import PRODUCTS
from tests.unit.shop.worlds import applied, do, events, order, refused, world_of

ALLOWED = {
    ("pending", "processing"),
    ("pending", "shipped"),
    ("pending", "cancelled"),
    ("processing", "shipped"),
    ("processing", "cancelled"),
    ("shipped", "delivered"),
}
ACTIONS = pytest.mark.parametrize("action", ["update_status", "update"])
IN_STOCK, HELD = 10, 4


def test_there_are_25_pairs() -> None:
    assert len(list(product(STATUSES, STATUSES))) == 25


@ACTIONS
@pytest.mark.parametrize(("before", "after"), sorted(ALLOWED))
def test_an_allowed_step_is_taken(action: str, before: str, after: str) -> None:
    world = world_of(order(before, desk=HELD))

    decision = do(world, "order", action, {"order_id": 7, "status": after})

    assert world.rows[ORDERS][7] == applied(decision).row
    assert world.rows[ORDERS][7].status == after
    assert world.rows[ORDERS][7].updated_at == world.now
    assert events(decision) == [(f"order.{after}", "order/7")]
    back = HELD if after == "cancelled" else 0
    assert world.rows[PRODUCTS][1].stock_quantity == IN_STOCK + back


@ACTIONS
@pytest.mark.parametrize("status", STATUSES)
def test_the_status_that_it_has_already_changes_nothing(action: str, status: str) -> None:
    world = world_of(before := order(status, desk=HELD))

    decision = do(world, "order", action, {"order_id": 7, "status": status})

    assert applied(decision).row is before
    assert decision.events == ()
    assert world.rows[PRODUCTS][1].stock_quantity == IN_STOCK


@ACTIONS
@pytest.mark.parametrize(
    ("before", "after"),
    [
        pair
        for pair in product(STATUSES, STATUSES)
        if pair not in ALLOWED and pair[0] != pair[1]
    ],
)  # fmt: skip
def test_any_other_step_is_refused(action: str, before: str, after: str) -> None:
    world = world_of(order(before, desk=HELD))

    decision = do(world, "order", action, {"order_id": 7, "status": after})

    message = refused(decision, "invalid_transition")
    assert message == f"Order 7: cannot go from {before} to {after}"
    assert events(decision) == [("order.refused", "order/7")]
    assert world.rows[ORDERS][7].status == before
    assert world.rows[PRODUCTS][1].stock_quantity == IN_STOCK


def test_cancelling_gives_back_once() -> None:
    world = world_of(order(desk=2, lamp=1, shelf=3))
    cancel: dict[str, Any] = {"order_id": 7, "status": "cancelled"}

    for _ in range(3):
        applied(do(world, "order", "update_status", cancel))

    assert [world.rows[PRODUCTS][n].stock_quantity for n in (1, 2, 3)] == [12, 6, 3]
    assert len(world.rows[ORDERS][7].items) == 3
    assert world.rows[ORDERS][7].total_amount == order(desk=2, lamp=1, shelf=3).total_amount
