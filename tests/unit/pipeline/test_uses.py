"""Which tables a command needs derives from the rows that it needs."""

from typing import Any

import pytest

from orderd.pipeline.uses import Use, uses_of
from tests.support.commands import command

LINES = [{"product_id": 1, "quantity": 1}]
ALL_OF_ORDERS = {"orders": Use.WRITE, "order_items": Use.WRITE}


@pytest.mark.parametrize(
    ("queue", "action", "arguments", "uses"),
    [
        ("user", "create", {"username": "ann", "email": "ann@x.org"}, {"users": Use.WRITE}),
        ("user", "update", {"id": 1, "is_active": False}, {"users": Use.WRITE}),
        ("user", "get", {"id": 1}, {"users": Use.READ}),
        ("user", "list", {}, {"users": Use.READ}),
        ("user", "health_check", {}, {}),
        ("product", "create", {"name": "a", "price": 1, "stock_quantity": 1},
         {"products": Use.WRITE}),
        ("product", "update", {"id": 1, "price": 2}, {"products": Use.WRITE}),
        ("product", "list", {"in_stock": True}, {"products": Use.READ}),
        ("order", "create", {"user_id": 1, "items": LINES},
         ALL_OF_ORDERS | {"products": Use.WRITE, "users": Use.LOCK_ROWS}),
        ("order", "update_status", {"order_id": 1, "status": "cancelled"},
         ALL_OF_ORDERS | {"products": Use.WRITE}),
        ("order", "update_status", {"order_id": 1, "status": "shipped"}, ALL_OF_ORDERS),
        ("order", "update", {"order_id": 1, "items": LINES},
         ALL_OF_ORDERS | {"products": Use.WRITE}),
        ("order", "get", {"id": 1}, {"orders": Use.READ, "order_items": Use.READ}),
        ("order", "list", {}, {"orders": Use.READ, "order_items": Use.READ}),
    ],
)  # fmt: skip
def test_a_command_needs_the_tables_of_its_rows(
    queue: str, action: str, arguments: dict[str, Any], uses: dict[str, Use]
) -> None:
    assert uses_of(command(queue, action, arguments)) == uses
