"""The tables of a shop, in the form of the reference model."""

from collections.abc import Callable
from typing import Any

from tests.acceptance.state_machine.reference_model import Row

Tables = dict[str, dict[int, Row]]


def tables_of(query: Callable[[str], list[tuple[Any, ...]]]) -> Tables:
    """Return the rows that *query* finds, by table and id, without times."""
    items: dict[int, list[Row]] = {}
    for order_id, *values in query(
        "SELECT order_id, id, product_id, quantity, unit_price FROM order_items ORDER BY id"
    ):
        item = dict(zip(("id", "product_id", "quantity", "unit_price"), values, strict=True))
        items.setdefault(order_id, []).append(item)

    def rows(table: str, *names: str) -> dict[int, Row]:
        names = ("id", *names, "revision")
        found = query(f"SELECT {', '.join(names)} FROM {table}")  # noqa: S608
        return {row[0]: dict(zip(names, row, strict=True)) for row in found}

    orders = rows("orders", "user_id", "status", "priority", "total_amount")
    return {
        "users": rows("users", "username", "email", "full_name", "is_active"),
        "products": rows("products", "name", "price", "stock_quantity"),
        "orders": {key: {**orders[key], "items": items.get(key, [])} for key in orders},
    }
