"""`orderctl orders`: the orders with their items."""

import argparse
from typing import Final, get_args

from orderd.contract.fields import Status
from orderd.contract.names import Queue
from orderd.ctl.entity import Entity, Row, Shown, moment, plainly, register_entity, whole_number


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's verbs."""
    register_entity(parser, ORDERS)


def _add_filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--status", choices=get_args(Status), help="only orders in this status")
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
        Shown("items (product × quantity)", _items),  # noqa: RUF001
        moment("created_at"),
        moment("updated_at"),
    ),
    _add_filters,
    ("status", "user_id"),
)
