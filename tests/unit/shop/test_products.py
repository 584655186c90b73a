from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from orderd.shop.outcomes import Answered, Invalid
from orderd.shop.products import PRODUCTS, Product
from tests.unit.shop.worlds import DESK, LAMP, NOW, SHELF, applied, do, events, refused, world_of

UNKNOWN = 99


def test_a_new_product_has_the_next_id() -> None:
    world = world_of()
    arguments = {"name": "sofa", "price": "12.5", "stock_quantity": 3}

    first, second = (do(world, "product", "create", arguments) for _ in range(2))

    assert applied(first).row == Product(100, "sofa", Decimal("12.50"), 3, NOW, NOW, 1)
    assert applied(second).row.id == 101
    assert events(first) == [("product.created", "product/100")]
    assert world.rows[PRODUCTS][100] is applied(first).row
    assert world.fresh_ids.used["products"] == 2


@pytest.mark.parametrize(
    ("arguments", "changes"),
    [
        ({"price": 5}, {"price": Decimal("5.00")}),
        ({"name": "table"}, {"name": "table"}),
        ({"stock_quantity": 0}, {"stock_quantity": 0}),
        (
            {"name": "t", "price": 0, "stock_quantity": 1},
            {"name": "t", "price": Decimal("0.00"), "stock_quantity": 1},
        ),
    ],
)
def test_an_update_replaces_what_is_given(
    arguments: dict[str, Any], changes: dict[str, Any]
) -> None:
    world = world_of()

    decision = do(world, "product", "update", {"id": 1, **arguments})

    assert applied(decision).row == replace(DESK, updated_at=NOW, revision=2, **changes)
    assert events(decision) == [("product.updated", "product/1")]
    assert world.rows[PRODUCTS][2] is LAMP


def test_mark_out_of_stock_takes_all() -> None:
    decision = do(world_of(), "product", "mark_out_of_stock", {"id": 1})

    assert applied(decision).row == replace(DESK, stock_quantity=0, updated_at=NOW, revision=2)
    assert events(decision) == [("product.out_of_stock", "product/1")]


@pytest.mark.parametrize(("delta", "left"), [(-10, 0), (-1, 9), (1, 11), (10**9 - 10, 10**9)])
def test_stock_is_adjusted_by_the_delta(delta: int, left: int) -> None:
    decision = do(world_of(), "product", "adjust_stock", {"id": 1, "delta": delta})

    assert applied(decision).row == replace(DESK, stock_quantity=left, updated_at=NOW, revision=2)
    assert events(decision) == [("product.stock_adjusted", "product/1")]


def test_stock_is_never_adjusted_below_zero() -> None:
    world = world_of()

    decision = do(world, "product", "adjust_stock", {"id": 1, "delta": -11})

    message = refused(decision, "insufficient_stock")
    assert message == "Insufficient stock: product 1 has 10, 11 to be taken"
    assert world.rows[PRODUCTS][1] is DESK


def test_stock_over_the_limit_is_invalid() -> None:
    world = world_of()

    decision = do(
        world, "product", "adjust_stock", {"id": 1, "delta": 10**9 - 9}, request_id="r"
    )  # fmt: skip

    assert isinstance(decision.outcome, Invalid)
    assert decision.outcome.code == "invalid_data"
    assert decision.outcome.message == (
        "data.delta: product 1 would have 1000000001, at most 1000000000 are allowed"
    )
    assert world.rows[PRODUCTS][1] is DESK
    assert not decision.is_recorded
    assert decision.events == ()


@pytest.mark.parametrize(("delta", "left"), [(-1, 10**9 + 1), (-2, 10**9), (-(10**9), 2)])
def test_stock_that_orders_brought_over_the_limit_can_be_taken_away(delta: int, left: int) -> None:
    world = world_of(replace(DESK, stock_quantity=10**9 + 2))

    decision = do(world, "product", "adjust_stock", {"id": 1, "delta": delta})

    assert applied(decision).row == replace(DESK, stock_quantity=left, updated_at=NOW, revision=2)
    more = do(world_of(replace(DESK, stock_quantity=10**9 + 2)), "product", "adjust_stock",
              {"id": 1, "delta": 1})  # fmt: skip
    assert isinstance(more.outcome, Invalid)


@pytest.mark.parametrize(
    ("action", "arguments"),
    [
        ("update", {"name": "desk"}),
        ("update", {"price": "149.990", "stock_quantity": 10}),
        ("adjust_stock", {"delta": 0}),
    ],
)
def test_what_changes_nothing_is_no_event(action: str, arguments: dict[str, Any]) -> None:
    world = world_of()

    decision = do(world, "product", action, {"id": 1, **arguments}, request_id="r")

    assert applied(decision).row is DESK
    assert applied(decision).changes == ()
    assert decision.events == ()
    assert decision.is_recorded


def test_nothing_is_left_of_nothing_without_an_event() -> None:
    decision = do(world_of(), "product", "mark_out_of_stock", {"id": 3})

    assert applied(decision).row is SHELF
    assert decision.events == ()


@pytest.mark.parametrize(
    ("action", "arguments"),
    [("update", {"price": 1}), ("mark_out_of_stock", {}), ("adjust_stock", {"delta": 1})],
)
def test_an_unknown_product_is_refused_at_once(action: str, arguments: dict[str, Any]) -> None:
    # Nobody has asked what may arrive: for its own queue, that does not count.
    decision = do(world_of(arriving=None), "product", action, {"id": UNKNOWN, **arguments})

    assert refused(decision, "product_not_found") == "Product 99 does not exist"
    assert events(decision) == [("product.refused", "product/99")]


def test_a_product_is_got() -> None:
    decision = do(world_of(), "product", "get", {"id": 1}, request_id="r")

    assert decision.outcome == Answered(DESK.json())
    assert decision.events == ()
    assert not decision.is_recorded


def test_an_unknown_product_is_not_got_and_that_is_no_event() -> None:
    decision = do(world_of(), "product", "get", {"id": UNKNOWN}, request_id="r")

    refused(decision, "product_not_found")
    assert decision.events == ()
    assert not decision.is_recorded
