"""`orderctl orders`: the orders with their items."""

import argparse
from typing import Final

from orderd.ctl.entity import Entity, Row, Shown, plainly, register_entity, whole_number
from orderd.protocol.names import Queue
from orderd.shop.order_status import STATUSES


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's verbs."""
    register_entity(parser, ORDERS)


def _add_filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--status",
        metavar="STATUS",
        choices=STATUSES,
        help=f"only orders in this status: {', '.join(STATUSES)}",
    )
    parser.add_argument(
        "--user", dest="user_id", metavar="ID", type=whole_number, help="only this user's orders"
    )


def _items(row: Row) -> str:
    return ", ".join(
        f"{item['product_id']}×{item['quantity']} at {item['unit_price']}"  # noqa: RUF001
        for item in row["items"]
    )


ORDERS: Final = Entity(
    Queue.ORDER,
    (
        Shown("id", plainly("id"), is_right=True),
        Shown("user", plainly("user_id"), is_right=True),
        Shown("status", plainly("status")),
        Shown("priority", plainly("priority")),
        Shown("total", plainly("total_amount"), is_right=True),
        Shown("items", _items, is_long=True),
    ),
    _add_filters,
    ("status", "user_id"),
)
