"""Which tables a command works with, and how: what a lock on one of them keeps waiting."""

from collections.abc import Mapping
from enum import IntEnum
from typing import Final

from orderd.protocol import commands


class Use(IntEnum):
    """What is done with a table; each needs a stronger lock on it than the one before."""

    READ = 1  # ACCESS SHARE
    LOCK_ROWS = 2  # ROW SHARE
    WRITE = 3  # ROW EXCLUSIVE


# What every command needs, if only because published events are deleted on the way.
SHARED: Final = ("processed_requests", "outbox", "deferrals")
TRIES: Final = "message_tries"

_USERS: Final = {"users": Use.WRITE}
_PRODUCTS: Final = {"products": Use.WRITE}
_ORDERS: Final = {"orders": Use.WRITE, "order_items": Use.WRITE, "products": Use.WRITE}
_NEW_ORDERS: Final = {**_ORDERS, "users": Use.LOCK_ROWS}
_SEEN_ORDERS: Final = {"orders": Use.READ, "order_items": Use.READ}

USES: Final[Mapping[type[commands.CommandData], Mapping[str, Use]]] = {
    commands.UserCreate: _USERS,
    commands.UserUpdate: _USERS,
    commands.UserGet: {"users": Use.READ},
    commands.UserList: {"users": Use.READ},
    commands.HealthCheck: {},
    commands.ProductCreate: _PRODUCTS,
    commands.ProductUpdate: _PRODUCTS,
    commands.ProductMarkOutOfStock: _PRODUCTS,
    commands.ProductAdjustStock: _PRODUCTS,
    commands.ProductGet: {"products": Use.READ},
    commands.ProductList: {"products": Use.READ},
    commands.OrderCreate: _NEW_ORDERS,
    commands.OrderCreateV2: _NEW_ORDERS,
    commands.OrderUpdateStatus: _ORDERS,
    commands.OrderUpdate: _ORDERS,
    commands.OrderUpdateV2: _ORDERS,
    commands.OrderGet: _SEEN_ORDERS,
    commands.OrderList: _SEEN_ORDERS,
}
