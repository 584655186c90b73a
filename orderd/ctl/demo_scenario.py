"""The reference scenario: a small shop, the commands that make it, and how it then has to look."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from orderd.protocol.values import value


@value
class Step:
    """A command, and what has to come of it: the row with this id, or a refusal by this code."""

    queue: str
    action: str
    content: Mapping[str, Any]
    row_id: int | None = None
    refusal: str | None = None


def _product(row_id: int, name: str, price: str, stock: int) -> Step:
    content = {"name": name, "price": Decimal(price), "stock_quantity": stock}
    return Step("product", "create", content, row_id)


def _order(*items: tuple[int, int], row_id: int | None = None, refusal: str | None = None) -> Step:
    lines = [{"product_id": product_id, "quantity": quantity} for product_id, quantity in items]
    return Step("order", "create", {"user_id": 1, "items": lines}, row_id, refusal)


def _status(order_id: int, status: str) -> Step:
    return Step("order", "update_status", {"order_id": order_id, "status": status}, order_id)


USER: Final = {
    "username": "testuser",
    "email": "testuser@example.com",
    "full_name": "Test User",
    "is_active": True,
}

STEPS: Final = (
    Step("user", "create", USER, row_id=1),
    _product(1, "Laptop Dell XPS 15", "1299.99", 25),
    _product(2, "Wireless Mouse Logitech MX", "79.99", 150),
    _product(3, "Mechanical Keyboard", "149.99", 75),
    _product(4, "USB-C Hub 7-in-1", "49.99", 200),
    _product(5, "Webcam Logitech C920", "89.99", 5),
    _order((1, 1), (2, 2), row_id=1),
    _order((3, 1), (4, 3), row_id=2),
    _order((2, 1), (5, 2), row_id=3),
    Step("product", "update", {"id": 1, "price": Decimal("1199.99")}, row_id=1),
    Step("product", "mark_out_of_stock", {"id": 5}, row_id=5),
    _status(1, "processing"),
    _status(2, "shipped"),
    _status(3, "cancelled"),
    _order((5, 100), refusal="insufficient_stock"),
)


def _end_product(row_id: int, name: str, price: str, stock: int) -> dict[str, Any]:
    return {"id": row_id, "name": name, "price": Decimal(price), "stock_quantity": stock}


def _end_order(
    row_id: int, status: str, total: str, items: Mapping[int, tuple[int, str]]
) -> dict[str, Any]:
    lines = [
        {"product_id": product_id, "quantity": quantity, "unit_price": Decimal(price)}
        for product_id, (quantity, price) in items.items()
    ]
    return {
        "id": row_id,
        "user_id": 1,
        "status": status,
        "total_amount": Decimal(total),
        "items": lines,
    }


END_PRODUCTS: Final = (
    _end_product(1, "Laptop Dell XPS 15", "1199.99", 24),
    _end_product(2, "Wireless Mouse Logitech MX", "79.99", 148),
    _end_product(3, "Mechanical Keyboard", "149.99", 74),
    _end_product(4, "USB-C Hub 7-in-1", "49.99", 197),
    _end_product(5, "Webcam Logitech C920", "89.99", 2),
)
END_ORDERS: Final = (
    _end_order(1, "processing", "1459.97", {1: (1, "1299.99"), 2: (2, "79.99")}),
    _end_order(2, "shipped", "299.96", {3: (1, "149.99"), 4: (3, "49.99")}),
    _end_order(3, "cancelled", "259.97", {2: (1, "79.99"), 5: (2, "89.99")}),
)
