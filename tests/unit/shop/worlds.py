"""Small worlds to try rules on."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from orderd.protocol.envelope import Command
from orderd.protocol.names import Queue
from orderd.protocol.rows import Row
from orderd.shop.decide import Decision, decide
from orderd.shop.order_rows import Order, OrderItem
from orderd.shop.outcomes import Applied, Refused
from orderd.shop.products import PRODUCTS, Product
from orderd.shop.registry import SHOP
from orderd.shop.users import User
from orderd.shop.world import FreshIds, World
from tests.support.commands import command

ATTEMPTS_MAX = 3
THEN = datetime(2024, 1, 1, tzinfo=UTC)
NOW = datetime(2024, 1, 2, tzinfo=UTC)
FIRST_NEW_ID = 100

ANN = User(1, "ann", "ann@x.org", "Ann", True, THEN, THEN)
BOB = User(2, "bob", "bob@x.org", None, False, THEN, THEN)
DESK = Product(1, "desk", Decimal("149.99"), 10, THEN, THEN)
LAMP = Product(2, "lamp", Decimal("0.10"), 5, THEN, THEN)
SHELF = Product(3, "shelf", Decimal("79.99"), 0, THEN, THEN)


def order(status: str = "pending", **quantities: int) -> Order:
    """Return order 7 of ann: `desk=2` is an item of two desks, at the price of an earlier day."""
    products = {"desk": DESK.id, "lamp": LAMP.id, "shelf": SHELF.id}
    items = tuple(
        OrderItem(11 + n, products[name], quantity, Decimal("100.00"))
        for n, (name, quantity) in enumerate(quantities.items())
    )
    total = sum((item.unit_price * item.quantity for item in items), Decimal("0.00"))
    return Order(7, ANN.id, status, "normal", total, items, THEN, THEN)


def world_of(*rows: Row, arriving: frozenset[Queue] | None = None) -> World:
    """Return a world that the database holds these rows of, besides users and products."""
    ids = range(FIRST_NEW_ID, FIRST_NEW_ID + 1000)
    fresh_ids = FreshIds(dict.fromkeys(SHOP.tables_with_ids, ids))
    world = World(SHOP.tables, NOW, fresh_ids, arriving=arriving)
    for row in (*rows, ANN, BOB, DESK, LAMP, SHELF):
        world.load(SHOP.tables[type(row)], [row])
    return world


def do(
    world: World, queue: str, action: str, arguments: Mapping[str, Any] | None = None, **more: Any
) -> Decision:
    """Return the decision on a command, of v2 unless *more* says otherwise."""
    return decided(world, command(queue, action, arguments, **{"version": "v2", **more}))


def decided(world: World, one: Command) -> Decision:
    """Return the decision on a command whose rule sees the rows that it needs, and no others."""
    world.ask(SHOP.needs_of([one]))
    return decide(world, one, ATTEMPTS_MAX)


def applied(decision: Decision) -> Applied:
    assert isinstance(decision.outcome, Applied), decision.outcome
    return decision.outcome


def refused(decision: Decision, code: str) -> str:
    """Return why the command was refused, as it must be for this reason."""
    assert isinstance(decision.outcome, Refused), decision.outcome
    assert decision.outcome.code == code
    return decision.outcome.message


def events(decision: Decision) -> list[tuple[str, str]]:
    return [(event.type, event.subject) for event in decision.events]


def stocked(product: Product, quantity: int) -> Product:
    return replace(product, stock_quantity=quantity)


def items(**quantities: int) -> list[dict[str, int]]:
    """Return the items of a request: `desk=2`."""
    return [
        {"product_id": {"desk": 1, "lamp": 2, "shelf": 3, "other": 99}[name], "quantity": quantity}
        for name, quantity in quantities.items()
    ]


def stock(world: World) -> tuple[int, int, int]:
    """Return the stock of desk, lamp and shelf."""
    return (
        world.rows[PRODUCTS][1].stock_quantity,
        world.rows[PRODUCTS][2].stock_quantity,
        world.rows[PRODUCTS][3].stock_quantity,
    )
