"""Every change that a client can see makes one revision, and a change may insist on one."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from orderd.shop.decide import Decision
from orderd.shop.order_rows import ORDERS, Order
from orderd.shop.products import PRODUCTS
from orderd.shop.world import World
from tests.unit.shop.worlds import ANN, DESK, applied, do, events, items, order, refused, world_of

CHANGES: list[tuple[str, str, dict[str, Any]]] = [
    ("user", "update", {"id": 1, "full_name": "A"}),
    ("product", "update", {"id": 1, "price": 1}),
    ("product", "mark_out_of_stock", {"id": 1}),
    ("product", "adjust_stock", {"id": 1, "delta": 1}),
    ("order", "update_status", {"order_id": 7, "status": "shipped"}),
    ("order", "update", {"order_id": 7, "status": "shipped"}),
    ("order", "update", {"order_id": 7, "items": items(desk=1)}),
    ("order", "update", {"order_id": 7, "priority": "low"}),
]
NAMES = {"user": "User 1", "product": "Product 1", "order": "Order 7"}
# Whatever they ask for, another rule forbids.
FORBIDDEN: list[tuple[str, str, dict[str, Any]]] = [
    ("user", "update", {"id": 1, "email": "bob@x.org"}),
    ("product", "adjust_stock", {"id": 1, "delta": -11}),
    ("order", "update_status", {"order_id": 7, "status": "delivered"}),
    ("order", "update", {"order_id": 7, "items": items(lamp=99)}),
]


def seventh() -> World:
    """Return a world in which user 1, product 1 and order 7 have revision 7."""
    rows = (ANN, DESK, order(desk=2))
    return world_of(*(replace(row, revision=7) for row in rows))


def told(decision: Decision) -> list[tuple[str, int | None, int]]:
    """Return type, sequence and revision in the data of each event."""
    return [
        (event.type, event.sequence, json.loads(event.data)["revision"])
        for event in decision.events
    ]


@pytest.mark.parametrize(("queue", "action", "arguments"), CHANGES)
def test_a_change_makes_the_next_revision_and_its_event_bears_the_number(
    queue: str, action: str, arguments: Mapping[str, Any]
) -> None:
    decision = do(seventh(), queue, action, arguments)

    ((kind, _),) = events(decision)
    assert applied(decision).row.revision == 8
    assert told(decision) == [(kind, 8, 8)]
    assert decision.response is not None
    assert json.loads(decision.response.data)["revision"] == 8


@pytest.mark.parametrize(("queue", "action", "arguments"), CHANGES)
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_change_may_insist_on_the_revision_that_its_producer_has_seen(
    queue: str, action: str, arguments: dict[str, Any], version: str
) -> None:
    if version == "v1" and (action == "adjust_stock" or "priority" in arguments):
        return
    world = seventh()

    late = do(world, queue, action, arguments | {"if_revision": 6}, version=version, request_id="r")
    early = do(world, queue, action, arguments | {"if_revision": 8}, version=version)
    right = do(world, queue, action, arguments | {"if_revision": 7}, version=version)

    assert refused(late, "revision_conflict") == f"{NAMES[queue]} has revision 7, not 6"
    assert refused(early, "revision_conflict") == f"{NAMES[queue]} has revision 7, not 8"
    assert late.is_recorded
    assert [event.type for event in late.events] == [f"{queue}.refused"]
    assert applied(right).row.revision == 8


@pytest.mark.parametrize(("queue", "action", "arguments"), FORBIDDEN)
def test_the_revision_is_looked_at_before_the_other_rules(
    queue: str, action: str, arguments: dict[str, Any]
) -> None:
    refused(do(seventh(), queue, action, arguments | {"if_revision": 6}), "revision_conflict")


@pytest.mark.parametrize(("queue", "action", "arguments"), CHANGES)
def test_a_row_that_is_not_there_has_no_revision(
    queue: str, action: str, arguments: dict[str, Any]
) -> None:
    name = "order_id" if queue == "order" else "id"

    decision = do(world_of(), queue, action, arguments | {name: 99, "if_revision": 1})

    refused(decision, f"{queue}_not_found")


def test_the_right_revision_alone_changes_nothing() -> None:
    world = seventh()

    decision = do(world, "product", "update", {"id": 1, "name": "desk", "if_revision": 7})

    assert applied(decision).row.revision == 7
    assert decision.events == ()
    assert world.changed_rows(PRODUCTS) == []


def test_items_and_status_in_one_update_are_two_revisions_with_an_event_each() -> None:
    world = seventh()

    arguments = {"order_id": 7, "items": items(desk=1), "status": "shipped", "if_revision": 7}
    decision = do(world, "order", "update", arguments)

    assert told(decision) == [("order.updated", 8, 8), ("order.shipped", 9, 9)]
    edited, shipped = (json.loads(event.data) for event in decision.events)
    assert (edited["status"], shipped["status"]) == ("pending", "shipped")
    assert [item["quantity"] for item in edited["items"]] == [1]
    assert edited["items"] == shipped["items"]
    assert decision.response is not None
    assert json.loads(decision.response.data) == shipped
    assert world.rows[ORDERS][7].revision == 9


def test_an_order_that_moves_stock_makes_a_revision_of_each_product_it_moves() -> None:
    world = world_of()

    def revisions() -> list[int]:
        return [world.rows[PRODUCTS][product_id].revision for product_id in (1, 2, 3)]

    def update(**changes: Any) -> None:
        applied(do(world, "order", "update", {"order_id": 100, **changes}))

    applied(do(world, "order", "create", {"user_id": 1, "items": items(desk=2, lamp=1)}))
    assert revisions() == [2, 2, 1]
    update(items=items(desk=3, lamp=1))
    assert revisions() == [3, 2, 1]
    update(priority="high")
    assert revisions() == [3, 2, 1]
    update(items=items(desk=4, lamp=1), status="cancelled")
    assert revisions() == [4, 3, 1]
    row = world.rows[ORDERS][100]
    assert isinstance(row, Order)
    assert row.revision == 5


def test_a_refusal_has_no_sequence() -> None:
    (event,) = do(seventh(), "product", "update", {"id": 1, "price": 1, "if_revision": 1}).events

    assert event.sequence is None
    assert json.loads(event.data)["request"]["data"] == {"id": 1, "price": 1.0, "if_revision": 1}
