"""Rows of others with values that no reply can tell: each costs what is asked of it alone."""

from collections.abc import Iterator
from operator import attrgetter
from typing import Any, Final

from orderd.protocol import commands
from orderd.protocol.names import RefusalCode
from orderd.protocol.rows import Order, Product, Row, User
from orderd.shop.outcomes import Refused
from orderd.shop.world import World

_TIMES: Final = ("created_at", "updated_at")
_NEVER_NULL: Final[dict[type, tuple[str, ...]]] = {
    User: ("username", "email", "is_active", *_TIMES, "revision"),
    Product: ("name", "price", "stock_quantity", *_TIMES, "revision"),
    Order: ("user_id", "status", "priority", "total_amount", *_TIMES, "revision"),
}
_VALUES: Final = {kind: attrgetter(*names) for kind, names in _NEVER_NULL.items()}


def refusal_of(world: World, content: commands.CommandData) -> Refused | None:
    """Return the refusal where *content* asks for, or would write, a row that cannot be told."""
    if world.is_flawed is None:
        # Rows of before the batch are looked at once; those that it makes can be told.
        world.is_flawed = any(flaw_of(row) is not None for row in world.stored.values())
    if not world.is_flawed:
        return None
    for row in _rows_of(world, content):
        flaw = flaw_of(row)
        if flaw is not None:
            message = f"{type(row).__name__} {row.id} cannot be read: {flaw}; correct the row"
            return Refused(RefusalCode.UNREADABLE_ROW, message)
    return None


def flaw_of(row: Row) -> str | None:
    """Return which value of *row* cannot be told, None where all can."""
    values: tuple[Any, ...] = _VALUES[type(row)](row)
    if None in values:
        name = _NEVER_NULL[type(row)][values.index(None)]
        return f"{name} is {'no time from year 1 to 9999' if name in _TIMES else 'null'}"
    match row:
        case Product() if not row.price.is_finite():
            return f"price is {row.price}"
        case Order():
            return _flaw_of_amounts(row)
        case _:
            return None


def _flaw_of_amounts(order: Order) -> str | None:
    if not order.total_amount.is_finite():
        return f"total_amount is {order.total_amount}"
    for item in order.items:
        values: tuple[Any, ...] = (item.product_id, item.quantity, item.unit_price)
        if None in values or not item.unit_price.is_finite():
            return f"the item {item.id} has product {values[0]}, quantity {values[1]}, {values[2]}"
    return None


def _rows_of(world: World, content: commands.CommandData) -> Iterator[Row]:
    """Yield those rows of *world* that *content* shows or changes; users of orders are neither."""
    match content:
        case commands.UserUpdate(id=row_id) | commands.UserGet(id=row_id):
            yield from _known(world.users, row_id)
        case (
            commands.ProductUpdate(id=row_id)
            | commands.ProductMarkOutOfStock(id=row_id)
            | commands.ProductAdjustStock(id=row_id)
            | commands.ProductGet(id=row_id)
        ):
            yield from _known(world.products, row_id)
        case commands.OrderCreate(items=items):
            for item in items:
                yield from _known(world.products, item.product_id)
        case commands.OrderGet():
            yield from _known(world.orders, content.id or content.order_id)
        case commands.OrderUpdateStatus(order_id=row_id) | commands.OrderUpdate(order_id=row_id):
            yield from _order_to_change(world, row_id, content)


def _order_to_change(
    world: World, order_id: int, content: commands.OrderUpdateStatus | commands.OrderUpdate
) -> Iterator[Row]:
    """Yield the order, and the products that get or give stock: those of old and new items."""
    order = world.orders.get(order_id)
    if order is None:
        return
    yield order
    given = content.items if isinstance(content, commands.OrderUpdate) else []
    if given or content.status == "cancelled":
        product_ids = [item.product_id for item in order.items]
        for product_id in (*product_ids, *(item.product_id for item in given)):
            yield from _known(world.products, product_id)


def _known(rows: Any, row_id: int) -> Iterator[Row]:
    row = rows.get(row_id)
    if row is not None:
        yield row
