"""A database with a batch committer on it, and what an observer sees of both."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812 - a class with a small name

from orderd.amqp.message import Delivery
from orderd.db.connection import Database
from orderd.db.table_queries import PREPARED
from orderd.pipeline.commit import Committer
from orderd.pipeline.context import BatchContext
from orderd.pipeline.decode import Decoder
from orderd.pipeline.deferrals import Deferrals
from orderd.pipeline.measures import Measures
from orderd.pipeline.quarantine import Quarantine
from orderd.pipeline.receipts import Receipts
from orderd.pipeline.results import Result
from orderd.pipeline.shop_labels import shop_labels
from orderd.protocol.names import Queue
from orderd.shop.outcomes import Deferred
from tests.support.policies import RETRY_DELAYS_S, policy
from tools.waiting import wait_until

__all__ = ["ATTEMPTS_MAX", "Connection", "Seen", "Shop", "seen", "timeless"]

ATTEMPTS_MAX = len(RETRY_DELAYS_S)
KEY = b"k" * 32
NOTHING_ARRIVES: frozenset[Queue] = frozenset()

_TABLES = {
    "users": "id, username, email, full_name, is_active, revision",
    "products": "id, name, price, stock_quantity, revision",
    "orders": "id, user_id, status, priority, total_amount, revision",
    "order_items": "id, order_id, product_id, quantity, unit_price",
    "processed_requests": "id, queue, action, outcome, code, response::text, fingerprint",
    "outbox": "id, type, body",
}
_PLACES = "SELECT queue, row_id FROM deferrals ORDER BY queue, row_id, place"
_TIME = re.compile(r'"\d{4}-\d\d-\d\dT[0-9:.]+Z"')
_UUID = re.compile(r'"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f-]{21}"')


@dataclass(frozen=True, slots=True)
class Seen:
    """What can be observed of one result, without times and event ids."""

    tag: int
    outcome: str
    code: str | None
    response: str | None
    events: tuple[tuple[str, str], ...]


class Shop:
    """One database and the one committer that works on it."""

    def __init__(self, url: str) -> None:
        self.database = Database(url, prepared=PREPARED)
        self.observer = psycopg2.connect(url)
        self.observer.autocommit = True
        self.ask: Callable[[], frozenset[Queue]] = lambda: NOTHING_ARRIVES
        self.keep_alive: Callable[[], None] = lambda: None
        self.committer = self.new_committer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.database.close()
        self.observer.close()

    def new_committer(self) -> Committer:
        """Return a committer that knows nothing yet, with decoder and deferrals to match."""
        self.policy = policy()
        self.measures = Measures(shop_labels())
        self.deferrals = Deferrals(self.database, self.policy)
        clock_s = self.database.clock.seconds
        self.receipts = Receipts(KEY)
        self.decoder = Decoder(
            self.policy,
            self.deferrals,
            self.receipts,
            measures=self.measures,
            now_s=clock_s,
            keep_alive=self._wait,
        )
        context = BatchContext(lambda _tried: self.ask(), self._wait)
        return Committer(
            self.database,
            self.policy,
            context,
            quarantine=Quarantine(self.database),
            deferrals=self.deferrals,
            measures=self.measures,
        )

    def _wait(self) -> None:
        self.keep_alive()

    def reset(self) -> None:
        """Empty the tables and begin with a committer that knows nothing."""
        self.query(f"TRUNCATE {', '.join(_TABLES)}, deferrals RESTART IDENTITY")
        self.committer = self.new_committer()

    def groups(
        self,
        deliveries: Sequence[Delivery],
        arriving: frozenset[Queue] = NOTHING_ARRIVES,
        *,
        ask: Callable[[], frozenset[Queue]] | None = None,
        keep_alive: Callable[[], None] = lambda: None,
    ) -> Iterator[list[Result]]:
        """Yield the results of one batch as they are to be settled: what is invalid comes first.

        *ask* is called, if given, where the committer wants to know what is *arriving*.
        """
        self.ask = ask or (lambda: arriving)
        self.keep_alive = keep_alive
        requests, invalid = self.decoder.decode(deliveries)
        if invalid:
            yield invalid
        yield from self.committer.commit(requests)

    def process(
        self,
        deliveries: Sequence[Delivery],
        arriving: frozenset[Queue] = NOTHING_ARRIVES,
        *,
        ask: Callable[[], frozenset[Queue]] | None = None,
        keep_alive: Callable[[], None] = lambda: None,
    ) -> list[Result]:
        """Return the results of one batch, in the order of the deliveries."""
        groups = self.groups(deliveries, arriving, ask=ask, keep_alive=keep_alive)
        results = {result.delivery.tag: result for group in groups for result in group}
        assert len(results) == len(deliveries)
        return [results[one.tag] for one in deliveries]

    def limit_replies(self, reply_bytes_max: int) -> None:
        """Let no reply to a query be larger."""
        self.policy.reply_bytes_max = reply_bytes_max

    def query(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Return the rows of a statement that runs, and commits, beside the committer."""
        with self.observer.cursor() as cursor:
            cursor.execute(statement, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def set(self, **parameters: str) -> None:
        """Set the committer's session parameters, for as long as its connection lives."""
        with self.database.transaction() as tx:
            for name, value in parameters.items():
                tx.run(f"SET {name} = '{value}'")

    def blocked(self) -> list[int]:
        """Return the server processes of all daemons of this database that wait for a lock."""
        return [pid for pid, waits_for in self._backends() if waits_for == "Lock"]

    def wait_until_blocked(self, count: int = 1) -> None:
        """Return when so many daemons wait for a lock."""
        wait_until(
            lambda: len(self.blocked()) == count,
            timeout_s=10,
            what=f"{count} daemons waiting for a lock",
            poll_s=0.005,
        )

    def terminate_backends(self) -> None:
        """Cut the connections of all daemons of this database."""
        for pid, _ in self._backends():
            self.query("SELECT pg_terminate_backend(%s, 5000)", pid)

    def _backends(self) -> list[tuple[Any, ...]]:
        return self.query("""
            SELECT pid, wait_event_type FROM pg_stat_activity
            WHERE datname = current_database() AND application_name = 'orderd'
        """)

    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return every row of every table, by id, without times and event ids."""
        return {
            table: [
                tuple(timeless(value) if isinstance(value, str) else value for value in row)
                for row in self.query(f"SELECT {columns} FROM {table} ORDER BY id")  # noqa: S608
            ]
            for table, columns in _TABLES.items()
        } | {"deferrals": self.query(_PLACES)}

    def count(self, table: str) -> int:
        return int(self.query(f"SELECT count(*) FROM {table}")[0][0])  # noqa: S608

    def stock_of(self, product_id: int) -> int:
        rows = self.query("SELECT stock_quantity FROM products WHERE id = %s", product_id)
        return int(rows[0][0])

    def broken_promises(self) -> list[tuple[Any, ...]]:
        """Return the orders whose total is not the sum of their lines."""
        return self.query("""
            SELECT orders.id, total_amount, sum(quantity * unit_price)
            FROM orders LEFT JOIN order_items ON order_id = orders.id
            GROUP BY orders.id HAVING total_amount <> coalesce(sum(quantity * unit_price), -1)
        """)


def timeless(text: str) -> str:
    """Return *text* with all times and event ids made equal."""
    return _UUID.sub('"UUID"', _TIME.sub('"TIME"', text))


def seen(result: Result) -> Seen:
    """Return what a client and a subscriber would see of *result*."""
    response = None if result.response is None else result.response.reply("asked").decode()
    return Seen(
        result.delivery.tag,
        type(result.outcome).__name__,
        getattr(result.outcome, "code", None),
        # What the driver says of a fault may hold times in another form.
        None if response is None or isinstance(result.outcome, Deferred) else timeless(response),
        tuple((row.type, timeless(row.body)) for row in result.events),
    )
