"""`orderctl products`: what the shop sells and has in stock."""

import argparse
from typing import Final

from orderd.ctl.entity import Entity, Shown, plainly, register_entity
from orderd.protocol.names import Queue


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's verbs."""
    register_entity(parser, PRODUCTS)


def _add_filters(parser: argparse.ArgumentParser) -> None:
    either = parser.add_mutually_exclusive_group()
    either.add_argument(
        "--in-stock", action="store_const", const=True, help="only products in stock"
    )
    either.add_argument(
        "--out-of-stock",
        dest="in_stock",
        action="store_const",
        const=False,
        help="only products out of stock",
    )


PRODUCTS: Final = Entity(
    Queue.PRODUCT,
    (
        Shown("id", plainly("id"), is_right=True),
        Shown("name", plainly("name"), is_long=True),
        Shown("price", plainly("price"), is_right=True),
        Shown("stock", plainly("stock_quantity"), is_right=True),
    ),
    _add_filters,
    ("in_stock",),
)
