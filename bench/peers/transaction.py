"""The usual transaction of an order: some statements on psycopg2, one after the other."""

from decimal import Decimal
from typing import Any

from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class


class Refused(Exception):
    """The order cannot be made; the text says why."""


def place_order(connection: Connection, data: dict[str, Any]) -> dict[str, Any]:
    """Write the order and take its stock; return its row. The caller commits or rolls back."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM users WHERE id = %s", (data["user_id"],))
        if cursor.fetchone() is None:
            raise Refused("user_not_found")
        ids = sorted(item["product_id"] for item in data["items"])
        cursor.execute(
            "SELECT id, price, stock_quantity FROM products WHERE id = ANY(%s) "
            "ORDER BY id FOR UPDATE",
            (ids,),
        )
        products = {row[0]: row for row in cursor.fetchall()}
        total = Decimal(0)
        for item in data["items"]:
            product = products.get(item["product_id"])
            if product is None:
                raise Refused("product_not_found")
            if product[2] < item["quantity"]:
                raise Refused("insufficient_stock")
            total += product[1] * item["quantity"]
        cursor.execute(
            "INSERT INTO orders (user_id, status, total_amount) VALUES (%s, 'pending', %s) "
            "RETURNING id",
            (data["user_id"], total),
        )
        (order_id,) = cursor.fetchone() or (None,)
        for item in data["items"]:
            cursor.execute(
                "UPDATE products SET stock_quantity = stock_quantity - %s, updated_at = now() "
                "WHERE id = %s",
                (item["quantity"], item["product_id"]),
            )
            cursor.execute(
                "INSERT INTO order_items (order_id, product_id, quantity, unit_price) "
                "VALUES (%s, %s, %s, %s)",
                (
                    order_id,
                    item["product_id"],
                    item["quantity"],
                    products[item["product_id"]][1],
                ),
            )
    return {"id": order_id, "user_id": data["user_id"], "total_amount": str(total)}
