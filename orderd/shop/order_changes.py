"""What may become of an order: its statuses, and what an edit or another status comes to."""

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from functools import partial
from typing import Final

from orderd.protocol.names import Queue
from orderd.shop import products
from orderd.shop.order_items import difference, held, priced, take, total
from orderd.shop.order_rows import ORDERS, Order
from orderd.shop.order_status import EDITABLE_STATUSES, TRANSITIONS
from orderd.shop.outcomes import Applied, Refused
from orderd.shop.products import PRODUCTS, Product
from orderd.shop.world import World


class OrderEvent(StrEnum):
    """What events tell of orders."""

    CREATED = "order.created"
    UPDATED = "order.updated"
    PROCESSING = "order.processing"
    SHIPPED = "order.shipped"
    DELIVERED = "order.delivered"
    CANCELLED = "order.cancelled"


STATUS_EVENTS: Final = (
    OrderEvent.PROCESSING,
    OrderEvent.SHIPPED,
    OrderEvent.DELIVERED,
    OrderEvent.CANCELLED,
)
_OF_STATUS: Final = {str(event).removeprefix("order."): event for event in STATUS_EVENTS}


class OrderRefusal(StrEnum):
    """Why rules about orders say no."""

    NOT_FOUND = "order_not_found"
    USER_INACTIVE = "user_inactive"
    INVALID_TRANSITION = "invalid_transition"
    ORDER_NOT_EDITABLE = "order_not_editable"


def change(
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
        return Refused(OrderRefusal.ORDER_NOT_EDITABLE, message)
    status = status or order.status
    if status != order.status and status not in TRANSITIONS[order.status]:
        message = f"Order {order.id}: cannot go from {order.status} to {status}"
        return Refused(OrderRefusal.INVALID_TRANSITION, message)

    taken = _moved(world, order, wanted, is_cancelled=status == "cancelled" != order.status)
    if isinstance(taken, Refused):
        return taken
    edited = replace(order, priority=priority or order.priority)
    items = (
        order.items
        if wanted is None
        else priced(world, partial(world.next_line_ids, ORDERS), wanted, order.items)
    )
    if items != order.items:
        edited = replace(edited, items=items, total_amount=total(items))
    row: Order = order
    events: list[tuple[OrderEvent, Order]] = []
    if edited != order:
        row = _next_revision(edited, world)
        events.append((OrderEvent.UPDATED, row))
    if status != order.status:
        row = _next_revision(replace(row, status=status), world)
        events.append((_OF_STATUS[status], row))
    return Applied(row, (row, *taken) if events else (), tuple(events))


def _moved(
    world: World, order: Order, wanted: Mapping[int, int] | None, *, is_cancelled: bool
) -> list[Product] | Refused:
    """Return the products after the order has got what is *wanted*, then was cancelled or not."""
    before = held(order.items)
    kept = before if wanted is None else wanted
    unknown = [one for one in kept if one not in before and world.find(PRODUCTS, one) is None]
    if unknown:
        return products.not_found(unknown[0], Queue.PRODUCT)
    taken = take(world, difference(before, kept))
    if is_cancelled and not isinstance(taken, Refused):
        # Both together move only what the order held: a revision for each product of those.
        return take(world, difference(before, {}))
    return taken


def _next_revision(order: Order, world: World) -> Order:
    return replace(order, updated_at=world.now, revision=order.revision + 1)
