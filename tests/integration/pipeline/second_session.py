"""A second session on the shop's tables: another program, which commits between two statements."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

import pytest
from psycopg2.errors import ForeignKeyViolation, LockNotAvailable, UniqueViolation

from orderd.db.transaction import Transaction
from tests.integration.pipeline.shop import Connection

# Rows of orderd's sessions that are written while something stands in `meddling`.
MEDDLING: Final = """
    CREATE TABLE meddling (kind text PRIMARY KEY);
    CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF current_setting('application_name') <> 'orderd' THEN RETURN NEW; END IF;
        IF EXISTS (SELECT FROM meddling WHERE kind = 'drop') THEN RETURN NULL; END IF;
        IF EXISTS (SELECT FROM meddling WHERE kind = 'change') THEN
            NEW.revision := NEW.revision + 1;
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER meddler BEFORE INSERT OR UPDATE ON users
        FOR EACH ROW EXECUTE FUNCTION meddle();
    CREATE TRIGGER meddler BEFORE INSERT OR UPDATE ON products
        FOR EACH ROW EXECUTE FUNCTION meddle();
    CREATE TRIGGER meddler BEFORE INSERT OR UPDATE ON orders
        FOR EACH ROW EXECUTE FUNCTION meddle();
"""
PRICE: Final = "149.99"
INSERT: Final = {
    "users": "INSERT INTO users (id, username, email, revision) VALUES %s",
    "products": "INSERT INTO products (id, name, price, stock_quantity, revision) VALUES %s",
    "orders": """
        INSERT INTO orders (id, user_id, status, priority, total_amount, revision) VALUES %s
    """,
    "order_items": """
        INSERT INTO order_items (id, order_id, product_id, quantity, unit_price) VALUES %s
    """,
}
SELL: Final = """
    UPDATE products
    SET stock_quantity = stock_quantity - 1, updated_at = now(), revision = revision + 1
    WHERE id = %s AND stock_quantity > 0
"""
REPRICE: Final = """
    UPDATE products SET price = 7, updated_at = now(), revision = revision + 1
    WHERE id = %s
"""
GIVE_BACK: Final = """
    UPDATE products
    SET stock_quantity = stock_quantity + quantity, updated_at = now(), revision = revision + 1
    FROM order_items WHERE order_id = %s AND products.id = product_id
"""
GO_ON: Final = """
    UPDATE orders SET status = %s, updated_at = now(), revision = revision + 1
    WHERE id = %s AND status IN ('pending', 'processing')
"""
# Without a look at the order, as a careless program does it.
CHANGE_LINE: Final = """
    UPDATE order_items SET quantity = quantity + 1 WHERE order_id = %s AND quantity < 9
"""
LOCK_OUT: Final = """
    UPDATE users SET is_active = NOT is_active, updated_at = now(), revision = revision + 1
    WHERE id = %s
"""
TAKE_EMAIL: Final = """
    UPDATE users SET email = 'zoe@x.org', updated_at = now(), revision = revision + 1
    WHERE id = %s
"""


@contextmanager
def before_each_statement(act: Callable[[], None]) -> Iterator[None]:
    """Call *act* before each round trip of a transaction in the block."""
    send = Transaction._send  # noqa: SLF001 - between two of them is where others can come

    def send_after_an_act(tx: Transaction) -> None:
        act()
        send(tx)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Transaction, "_send", send_after_an_act)
        yield


class SecondSession:
    """What another program may do, each in a transaction that waits for no lock.

    `revise` is what it asks for the revision of a row that it inserts: ids come back, but no
    revision does.
    """

    def __init__(self, session: Connection, revise: Callable[[str, int], int]) -> None:
        self._session = session
        self._revise = revise
        self.done = 0

    def do(self, name: str, row_id: int = 0) -> bool:
        """Return whether the act of that name could be done, and has changed anything."""
        with suppress(LockNotAvailable, UniqueViolation, ForeignKeyViolation), self._session:
            if getattr(self, name)(row_id):
                self.done += 1
                return True
        return False

    def put_product(self, row_id: int) -> int:
        values = (row_id, "late", PRICE, 10, self._revise("products", row_id))
        return self._run(INSERT["products"], values)

    def sell(self, row_id: int) -> int:
        return self._run(SELL, row_id)

    def reprice(self, row_id: int) -> int:
        return self._run(REPRICE, row_id)

    def delete_product(self, row_id: int) -> int:
        return self._run("DELETE FROM products WHERE id = %s", row_id)

    def put_order(self, row_id: int) -> int:
        values = (row_id, 1, "pending", "normal", "299.98", self._revise("orders", row_id))
        self._run(INSERT["orders"], values)
        return self._run(INSERT["order_items"], (10 * row_id, row_id, 1, 2, PRICE))

    def cancel_order(self, row_id: int) -> int:
        return self._run(GO_ON, "cancelled", row_id) and self._run(GIVE_BACK, row_id)

    def ship_order(self, row_id: int) -> int:
        return self._run(GO_ON, "shipped", row_id)

    def change_line(self, row_id: int) -> int:
        return self._run(CHANGE_LINE, row_id)

    def delete_order(self, row_id: int) -> int:
        self._run("DELETE FROM order_items WHERE order_id = %s", row_id)
        return self._run("DELETE FROM orders WHERE id = %s", row_id)

    def put_user(self, row_id: int) -> int:
        values = (row_id, f"late{row_id}", f"late{row_id}@x.org", self._revise("users", row_id))
        return self._run(INSERT["users"], values)

    def lock_out(self, row_id: int) -> int:
        return self._run(LOCK_OUT, row_id)

    def take_email(self, row_id: int) -> int:
        return self._run(TAKE_EMAIL, row_id)

    def delete_user(self, row_id: int) -> int:
        return self._run("DELETE FROM users WHERE id = %s", row_id)

    def begin_to_meddle(self, row_id: int) -> int:
        kind = ("drop" if row_id == 1 else "change",)
        return self._run("INSERT INTO meddling VALUES %s ON CONFLICT DO NOTHING", kind)

    def end_meddling(self, _row_id: int) -> int:
        return self._run("DELETE FROM meddling")

    def _run(self, statement: str, *parameters: Any) -> int:
        with self._session.cursor() as cursor:
            cursor.execute(statement, parameters)
            return int(cursor.rowcount)


# By the table whose rows they change.
ACTS: Final[Mapping[str, Sequence[str]]] = {
    "users": ("put_user", "lock_out", "take_email", "delete_user"),
    "products": ("put_product", "sell", "reprice", "delete_product"),
    "orders": ("put_order", "cancel_order", "ship_order", "change_line", "delete_order"),
    "meddling": ("begin_to_meddle", "end_meddling"),
}
