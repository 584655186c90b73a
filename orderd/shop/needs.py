"""Which rows a batch of commands names: what to load, what of it to lock, how many ids to fetch."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from orderd.protocol import commands
from orderd.protocol.envelope import Command
from orderd.protocol.names import Queue
from orderd.shop.world import Table

EVENTS_PER_COMMAND_MAX: Final = 2


@dataclass(slots=True)
class Needs:
    """The ids that a batch names, by what it wants to do with their rows."""

    request_ids: set[str] = field(default_factory=set)
    users_to_change: set[int] = field(default_factory=set)
    users_to_refer_to: set[int] = field(default_factory=set)
    users_to_read: set[int] = field(default_factory=set)
    usernames: set[str] = field(default_factory=set)
    emails: set[str] = field(default_factory=set)
    products_to_change: set[int] = field(default_factory=set)
    products_to_read: set[int] = field(default_factory=set)
    orders_to_change: set[int] = field(default_factory=set)
    orders_to_read: set[int] = field(default_factory=set)
    orders_moving_stock: set[int] = field(default_factory=set)
    new_rows: dict[Table, int] = field(default_factory=lambda: dict.fromkeys(Table, 0))


def needs_of(batch: Iterable[Command]) -> Needs:
    """Return what the world must hold before *batch* can be decided."""
    needs = Needs()
    for command in batch:
        if command.is_recorded and command.request_id is not None:
            needs.request_ids.add(command.request_id)
        if not command.content.is_query:
            needs.new_rows[Table.OUTBOX] += EVENTS_PER_COMMAND_MAX
        # One whose time is over is refused whatever the rows are, also while somebody holds them.
        if not command.is_expired:
            _ADD[Queue(command.queue)](needs, command.content)
    return needs


def _add_order(needs: Needs, content: commands.CommandData) -> None:
    match content:
        case commands.OrderCreate(user_id=user_id, items=items):
            needs.users_to_refer_to.add(user_id)
            needs.products_to_change.update(item.product_id for item in items)
            needs.new_rows[Table.ORDERS] += 1
            needs.new_rows[Table.ORDER_ITEMS] += len(items)
        case commands.OrderUpdateStatus(order_id=order_id, status=status):
            needs.orders_to_change.add(order_id)
            if status == "cancelled":
                needs.orders_moving_stock.add(order_id)
        case commands.OrderUpdate(order_id=order_id, items=items):
            needs.orders_to_change.add(order_id)
            needs.orders_moving_stock.add(order_id)
            needs.products_to_change.update(item.product_id for item in items)
            needs.new_rows[Table.ORDER_ITEMS] += len(items)
        case commands.OrderGet():
            needs.orders_to_read.add(content.id or content.order_id)


def _add_product(needs: Needs, content: commands.CommandData) -> None:
    match content:
        case commands.ProductCreate():
            needs.new_rows[Table.PRODUCTS] += 1
        case (
            commands.ProductUpdate(id=product_id)
            | commands.ProductMarkOutOfStock(id=product_id)
            | commands.ProductAdjustStock(id=product_id)
        ):
            needs.products_to_change.add(product_id)
        case commands.ProductGet(id=product_id):
            needs.products_to_read.add(product_id)


def _add_user(needs: Needs, content: commands.CommandData) -> None:
    match content:
        case commands.UserCreate(username=username, email=email):
            needs.usernames.add(username)
            needs.emails.add(email)
            needs.new_rows[Table.USERS] += 1
        case commands.UserUpdate(id=user_id, email=email):
            needs.users_to_change.add(user_id)
            if "email" in content.model_fields_set:
                needs.emails.add(email)
        case commands.UserGet(id=user_id):
            needs.users_to_read.add(user_id)


_ADD: Final = {Queue.ORDER: _add_order, Queue.PRODUCT: _add_product, Queue.USER: _add_user}
