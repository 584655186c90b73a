"""What a batch decides, it decides on rows that it has locked, whatever appears meanwhile."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Final

import psycopg2
import pytest
from psycopg2.errors import LockNotAvailable, UniqueViolation

from orderd.amqp.message import Delivery
from orderd.db.transaction import Transaction
from tests.integration.batch.requests import stocked_shop
from tests.integration.batch.shop import Connection, Shop
from tests.support.commands import request
from tools.servers import Servers

Act = Callable[[Connection], None]
LATE = 50


@pytest.fixture(scope="module")
def place(servers: Servers, template_database: str) -> Iterator[tuple[Shop, Connection]]:
    """A shop and a session that waits for no lock."""
    name = f"{template_database}_restless"
    url = servers.postgres.create_database(name, template=template_database)
    with Shop(url) as shop, closing(psycopg2.connect(url)) as session:
        session.autocommit = True
        with session.cursor() as cursor:
            cursor.execute("SET lock_timeout = '1ms'")
        session.autocommit = False
        yield shop, session
    servers.postgres.drop_database(name)


@contextmanager
def others(session: Connection, acts: Sequence[Act]) -> Iterator[None]:
    """Let *session* do one of *acts*, in their order, before each round trip in the block."""
    todo = list(acts)
    send = Transaction._send  # noqa: SLF001 - between two of them is where others can come

    def send_after_an_act(tx: Transaction) -> None:
        if todo:
            with suppress(LockNotAvailable, UniqueViolation), session:
                todo.pop(0)(session)
        send(tx)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Transaction, "_send", send_after_an_act)
        yield


def run(session: Connection, statement: str, row_id: int = LATE) -> int:
    """Return how many rows *statement* wrote, about the row with this id."""
    with session.cursor() as cursor:
        cursor.execute(statement, {"id": row_id})
        return int(cursor.rowcount)


class Others:
    """What a second session may do, and what of it took effect: pieces put onto the shelves."""

    def __init__(self) -> None:
        self.put: Counter[int] = Counter()
        self.locked_out: set[int] = set()

    def nothing(self, _session: Connection) -> None:
        pass

    def product_appears(self, session: Connection) -> None:
        run(session, "INSERT INTO products VALUES (%(id)s, 'late', 1, 10)")
        self.put[LATE] += 10

    def product_is_taken(self, session: Connection) -> None:
        for product_id in (1, LATE):
            taken = run(
                session,
                "UPDATE products SET stock_quantity = stock_quantity - 1 "
                "WHERE id = %(id)s AND stock_quantity > 0",
                product_id,
            )
            self.put[product_id] -= taken
            session.commit()

    def order_appears(self, session: Connection) -> None:
        run(session, "INSERT INTO orders VALUES (%(id)s, 1, 'pending', 'normal', 299.98)")
        run(session, "INSERT INTO order_items VALUES (500, %(id)s, 1, 2, 149.99)")
        self.put[1] += 2

    def order_is_cancelled(self, session: Connection) -> None:
        for order_id in (1, LATE):
            is_done = run(
                session,
                "UPDATE orders SET status = 'cancelled' "
                "WHERE id = %(id)s AND status IN ('pending', 'processing')",
                order_id,
            )
            if is_done:
                run(
                    session,
                    "UPDATE products SET stock_quantity = stock_quantity + item.quantity "
                    "FROM (SELECT product_id, sum(quantity) AS quantity FROM order_items "
                    "WHERE order_id = %(id)s GROUP BY product_id) AS item "
                    "WHERE products.id = product_id",
                    order_id,
                )
            session.commit()

    def lines_change(self, session: Connection) -> None:
        items = "UPDATE order_items SET quantity = quantity + 1 WHERE product_id = 1 "
        items += "AND order_id IN (SELECT id FROM orders WHERE status <> 'cancelled')"
        self.put[1] += run(session, items)

    def user_appears(self, session: Connection) -> None:
        run(session, "INSERT INTO users VALUES (%(id)s, 'late', 'late@x.org')")

    def user_is_locked_out(self, session: Connection) -> None:
        for user_id in (2, LATE):
            if run(session, "UPDATE users SET is_active = false WHERE id = %(id)s", user_id):
                self.locked_out.add(user_id)
            session.commit()


def create_order(product_id: int, user_id: int = 1) -> Delivery:
    items = [{"product_id": product_id, "quantity": 1}]
    return request("order", "create", {"user_id": user_id, "items": items})


def status(order_id: int, wanted: str) -> Delivery:
    return request("order", "update_status", {"order_id": order_id, "status": wanted})


def got(queue: str, row_id: int) -> Delivery:
    return request(queue, "get", {"id": row_id})


def rename(user_id: int) -> Delivery:
    return request("user", "update", {"id": user_id, "full_name": "New"})


def pieces(shop: Shop) -> Counter[int]:
    """Return what is of each product, on the shelf and in orders."""
    return Counter(
        dict(
            shop.query("""
        SELECT id, stock_quantity + coalesce((
            SELECT sum(quantity) FROM order_items JOIN orders ON orders.id = order_id
            WHERE product_id = products.id AND status <> 'cancelled'
        ), 0)
        FROM products
    """)
        )
    )


def check(shop: Shop, session: Connection, batch: list[Delivery], acts: list[str]) -> None:
    """Check that *batch*, in a new shop, loses nobody's work."""
    shop.reset()
    shop.process(stocked_shop())
    before, second = pieces(shop), Others()
    with others(session, [getattr(second, name) for name in acts]):
        shop.process(batch)
    after = pieces(shop)
    assert {n: after[n] - before[n] for n in after} == {n: second.put[n] for n in after}
    inactive = {row[0] for row in shop.query("SELECT id FROM users WHERE NOT is_active")}
    assert inactive == second.locked_out


BATCHES: Final = {
    "product": [create_order(LATE), got("product", LATE)],
    "order": [status(LATE, "cancelled"), got("order", LATE)],
    "user": [rename(LATE), create_order(2, LATE)],
    "email": [rename(LATE), request("user", "create", {"username": "late", "email": "l@x.org"})],
}
ACTS: Final = {
    "product": ["product_appears", "product_is_taken"],
    "order": ["order_appears", "order_is_cancelled"],
    "user": ["user_appears", "user_is_locked_out"],
    "email": ["user_appears", "user_is_locked_out"],
}


@pytest.mark.parametrize("boundary", range(6))
@pytest.mark.parametrize("table", ["product", "order", "user", "email"])
def test_a_row_that_appears_after_it_was_asked_for_is_not_decided_on(
    place: tuple[Shop, Connection], table: str, boundary: int
) -> None:
    check(*place, BATCHES[table], ["nothing"] * boundary + ACTS[table])


def test_lines_that_others_change_are_locked_with_their_order(
    place: tuple[Shop, Connection],
) -> None:
    for boundary in range(6):
        acts = ["nothing"] * boundary + ["lines_change"]
        check(*place, [status(1, "cancelled"), got("product", 1)], acts)
