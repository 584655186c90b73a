"""What may be done to orders, and what that takes from or gives back to the shelves."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final

from orderd.protocol.commands import (
    ItemData,
    OrderCreate,
    OrderGet,
    OrderUpdate,
    OrderUpdateStatus,
)
from orderd.protocol.envelope import Invalid
from orderd.protocol.fields import QUANTITY_MAX
from orderd.protocol.names import InvalidCode, Queue, RefusalCode
from orderd.protocol.rows import EDITABLE_STATUSES, Order, OrderItem, Product
from orderd.shop.outcomes import Answered, Applied, Refused
from orderd.shop.rules import products, users
from orderd.shop.rules.revisions import is_outdated, revision_conflict
from orderd.shop.world import Table, World

TRANSITIONS: Final[Mapping[str, frozenset[str]]] = {
    "pending": frozenset({"processing", "shipped", "cancelled"}),
    "processing": frozenset({"shipped", "cancelled"}),
    "shipped": frozenset({"delivered"}),
    "delivered": frozenset(),
    "cancelled": frozenset(),
}


def create(world: World, content: OrderCreate) -> Applied | Refused | Invalid:
    """Take the items' stock and open an order at the current prices."""
    wanted = _quantities(content.items)
    if excess := _too_many(wanted):
        return excess
    user = world.users.get(content.user_id)
    if user is None:
        return users.not_found(content.user_id, Queue.USER)
    if not user.is_active:
        return Refused(RefusalCode.USER_INACTIVE, f"User {user.id} is not active")
    taken = _take(world, wanted)
    if isinstance(taken, Refused):
        return taken
    items = _items(world, wanted, ())
    (order_id,) = world.fresh_ids.peek(Table.ORDERS)
    order = Order(
        order_id,
        user.id,
        "pending",
        content.wanted_priority,
        _total(items),
        items,
        world.now,
        world.now,
    )
    return Applied(order, (order, *taken), (("order.created", order),))


def update_status(world: World, content: OrderUpdateStatus) -> Applied | Refused:
    """Let the order go on to another status."""
    order = world.orders.get(content.order_id)
    if order is None:
        return _not_found(content.order_id)
    if is_outdated(order, content):
        return revision_conflict(order, content)
    return _change(world, order, status=content.status)


def update(world: World, content: OrderUpdate) -> Applied | Refused | Invalid:
    """Give the order other items, another status or another priority."""
    wanted = _quantities(content.items)
    if excess := _too_many(wanted):
        return excess
    order = world.orders.get(content.order_id)
    if order is None:
        return _not_found(content.order_id)
    if is_outdated(order, content):
        return revision_conflict(order, content)
    given = content.model_fields_set
    return _change(
        world,
        order,
        wanted=wanted if "items" in given else None,
        priority=content.wanted_priority,
        status=content.status if "status" in given else None,
    )


def get(world: World, content: OrderGet) -> Answered | Refused:
    """Return the order's row with its items."""
    order_id = content.id or content.order_id
    order = world.orders.get(order_id)
    return _not_found(order_id) if order is None else Answered(order.json())


def _change(
    world: World,
    order: Order,
    *,
    wanted: Mapping[int, int] | None = None,
    priority: str | None = None,
    status: str | None = None,
) -> Applied | Refused:
    """Return the order after an edit of items or priority, then a step to another status."""
    is_edit = wanted is not None or priority is not None
    if is_edit and order.status not in EDITABLE_STATUSES:
        message = f"Order {order.id} is {order.status} and cannot be changed any more"
        return Refused(RefusalCode.ORDER_NOT_EDITABLE, message)
    status = status or order.status
    if status != order.status and status not in TRANSITIONS[order.status]:
        message = f"Order {order.id}: cannot go from {order.status} to {status}"
        return Refused(RefusalCode.INVALID_TRANSITION, message)

    taken = _moved(world, order, wanted, is_cancelled=status == "cancelled" != order.status)
    if isinstance(taken, Refused):
        return taken
    edited = replace(order, priority=priority or order.priority)
    items = order.items if wanted is None else _items(world, wanted, order.items)
    if items != order.items:
        edited = replace(edited, items=items, total_amount=_total(items))
    row, events = order, []
    if edited != order:
        row = _next_revision(edited, world)
        events.append(("order.updated", row))
    if status != order.status:
        row = _next_revision(replace(row, status=status), world)
        events.append((f"order.{status}", row))
    return Applied(row, (row, *taken) if events else (), tuple(events))


def _moved(
    world: World, order: Order, wanted: Mapping[int, int] | None, *, is_cancelled: bool
) -> list[Product] | Refused:
    """Return the products after the order has got what is *wanted*, then was cancelled or not."""
    held = _held(order)
    kept = held if wanted is None else wanted
    unknown = [one for one in kept if one not in held and one not in world.products]
    if unknown:
        return products.not_found(unknown[0], Queue.PRODUCT)
    taken = _take(world, _difference(held, kept))
    if is_cancelled and not isinstance(taken, Refused):
        # Both together move only what the order held: a revision for each product of those.
        return _take(world, _difference(held, {}))
    return taken


def _next_revision(order: Order, world: World) -> Order:
    return replace(order, updated_at=world.now, revision=order.revision + 1)


def _quantities(items: Sequence[ItemData]) -> dict[int, int]:
    """Return product id to quantity; the same product twice is one line with the sum."""
    quantities: dict[int, int] = {}
    for item in items:
        quantities[item.product_id] = quantities.get(item.product_id, 0) + item.quantity
    return quantities


def _too_many(wanted: Mapping[int, int]) -> Invalid | None:
    """Return the refusal for items of one product that no single item could have."""
    for product_id, quantity in wanted.items():
        if quantity > QUANTITY_MAX:
            has = f"data.items: product {product_id} has a quantity of {quantity} in all"
            message = f"{has}, at most {QUANTITY_MAX} are allowed"
            return Invalid(InvalidCode.INVALID_DATA, message)
    return None


def _held(order: Order) -> dict[int, int]:
    """Return product id to quantity; other programs may have written several lines of a product."""
    held: dict[int, int] = {}
    for item in order.items:
        held[item.product_id] = held.get(item.product_id, 0) + item.quantity
    return held


def _difference(held: Mapping[int, int], kept: Mapping[int, int]) -> dict[int, int]:
    """Return what is to be taken more (or, negative, given back) of each product."""
    difference = Counter(kept)
    difference.subtract(held)
    return {product_id: count for product_id, count in difference.items() if count}


def _take(world: World, wanted: Mapping[int, int]) -> list[Product] | Refused:
    """Return the products after *wanted* was taken from each, negative numbers given back.

    To give back is never refused.
    """
    taken = []
    for product_id, quantity in wanted.items():
        product = world.products.get(product_id)
        if product is None:
            if quantity > 0:
                return products.not_found(product_id, Queue.PRODUCT)
            continue
        if quantity > 0 and quantity > product.stock_quantity:
            return products.insufficient_stock(product, quantity, "ordered")
        taken.append(product.with_stock(product.stock_quantity - quantity, world.now))
    return taken


def _items(
    world: World, wanted: Mapping[int, int], before: Sequence[OrderItem]
) -> tuple[OrderItem, ...]:
    """Return the items by id: kept products keep theirs, with the price of each."""
    known: dict[int, list[OrderItem]] = {}
    for item in before:
        known.setdefault(item.product_id, []).append(item)
    new_ids = iter(
        world.fresh_ids.peek(Table.ORDER_ITEMS, sum(product not in known for product in wanted))
    )
    items = []
    for product_id, quantity in wanted.items():
        if product_id in known:
            items.extend(_adjusted(known[product_id], quantity))
        else:
            price = world.products[product_id].price
            items.append(OrderItem(next(new_ids), product_id, quantity, price))
    return tuple(sorted(items, key=lambda item: item.id))


def _adjusted(items: Sequence[OrderItem], quantity: int) -> list[OrderItem]:
    """Return the items of one product with *quantity* in all.

    What is more goes to the last one; what is less comes off the last one, then the one before.
    """
    left = quantity
    kept = []
    for item in items[:-1]:
        if left:
            kept.append(replace(item, quantity=min(item.quantity, left)))
            left -= kept[-1].quantity
    if left:
        kept.append(replace(items[-1], quantity=left))
    return kept


def _total(items: Sequence[OrderItem]) -> Decimal:
    return sum((item.unit_price * item.quantity for item in items), Decimal("0.00"))


def _not_found(order_id: int) -> Refused:
    return Refused(RefusalCode.ORDER_NOT_FOUND, f"Order {order_id} does not exist")
