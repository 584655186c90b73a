"""The rows of orders and of their items, and the tables that hold them."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from orderd.protocol.rows import rfc3339
from orderd.protocol.values import value
from orderd.shop.products import PRODUCTS
from orderd.shop.tables import Column, Kind, Lines, Table


@value
class OrderItem:
    """One line of an order, at the price it was ordered for."""

    id: int
    product_id: int
    quantity: int
    unit_price: Decimal

    def json(self) -> str:
        """Return the row as JSON text."""
        return (
            f'{{"id":{self.id},"product_id":{self.product_id},"quantity":{self.quantity},'
            f'"unit_price":{self.unit_price!s}}}'
        )


ORDER_ITEMS: Final = Lines(
    "order_items",
    OrderItem,
    Column("order_id", Kind.ID, is_fixed=True, refers_to="orders"),
    (
        Column("product_id", Kind.ID, is_fixed=True, refers_to="products"),
        Column("quantity", Kind.COUNT, has_check=True),
        Column("unit_price", Kind.PRICE, is_fixed=True, has_check=True),
    ),
    attribute="items",
)


@value
class Order:
    """An order with its items, by item id.

    orderd gives a product one item; other programs may have given it several.
    """

    id: int
    user_id: int
    status: str
    priority: str
    total_amount: Decimal
    items: tuple[OrderItem, ...]
    created_at: datetime
    updated_at: datetime
    revision: int = 1

    def json(self) -> str:
        """Return the row as JSON text."""
        items = ",".join([item.json() for item in self.items])
        return (
            f'{{"id":{self.id},"user_id":{self.user_id},"status":"{self.status}",'
            f'"priority":"{self.priority}","total_amount":{self.total_amount!s},"items":[{items}],'
            f'"created_at":"{rfc3339(self.created_at)}","updated_at":"{rfc3339(self.updated_at)}",'
            f'"revision":{self.revision}}}'
        )


def _flaw_of(order: Order) -> str | None:
    """Return which value of its items no reply can tell, None where each can."""
    for item in order.items:
        values: tuple[Any, ...] = (item.product_id, item.quantity, item.unit_price)
        if None in values or not item.unit_price.is_finite():
            return f"the item {item.id} has product {values[0]}, quantity {values[1]}, {values[2]}"
    return None


def _made(row: Sequence[Any], items: tuple[OrderItem, ...]) -> Order:
    order_id, user_id, status, priority, total, created_at, updated_at, revision = row
    return Order(
        order_id, user_id, status, priority, total, items, created_at, updated_at, revision
    )


ORDERS: Final = Table(
    "orders",
    Order,
    (
        Column("user_id", Kind.ID, is_fixed=True, refers_to="users"),
        Column("status", Kind.WORD, has_check=True),
        Column("priority", Kind.WORD, has_check=True),
        Column("total_amount", Kind.TOTAL, has_check=True),
    ),
    make=_made,
    lines=ORDER_ITEMS,
    follows=((PRODUCTS, lambda order: [item.product_id for item in order.items]),),
    flaw=_flaw_of,
)
