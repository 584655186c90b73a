"""What is measured on: private servers; each run has a database and a virtual host of its own."""

import compileall
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pika
import psycopg2
from psycopg2 import sql

from bench.delaying_proxy import distant
from bench.orders import PRODUCTS, USERS
from orderd.db.connection import Database
from orderd.db.migrations import migrate
from orderd.protocol.names import Queue
from tools.broker import ServerRefused
from tools.postgresql import PrivatePostgres
from tools.rabbitmq import PrivateRabbit
from tools.servers import Servers

TREE: Final = Path(__file__).parents[1]
OLD_ORDERS: Final = 10_000
STOCK: Final = 1_000_000_000
PERSISTENT: Final = pika.BasicProperties(delivery_mode=2, content_type="application/json")
# One confirm for so many: to confirm each would take longer than to work them off.
PUBLISHED_AT_ONCE: Final = 10_000
DATABASE: Final = "bench"
EVENTS_EXCHANGE: Final = "orderd.events"
EVENTS_QUEUE: Final = "bench.events"

# Sizes are those that users have after a while: plans made for empty tables say little.
# Ledger ids are random, as those of producers are: each meets another page of the index, which is
# as full as one that grew by random ids. The replies in the ledger are short, as they are
# not read here.
PAST: Final = """
    INSERT INTO users (username, email)
    SELECT 'user' || i, 'user' || i || '@example.com' FROM generate_series(1, %(users)s) i;
    INSERT INTO products (name, price, stock_quantity)
    SELECT 'Product ' || i, 0.99 + i %% 97, %(stock)s FROM generate_series(1, %(products)s) i;
    INSERT INTO orders (user_id, status, total_amount)
    SELECT 1 + i %% %(users)s, 'delivered', 59.97 FROM generate_series(1, %(orders)s) i;
    INSERT INTO order_items (order_id, product_id, quantity, unit_price)
    SELECT i, 1 + (i + j * 7) %% %(products)s, j, 19.99
    FROM generate_series(1, %(orders)s) i, generate_series(1, 2) j;
    ALTER TABLE processed_requests DROP CONSTRAINT processed_requests_pkey;
    INSERT INTO processed_requests
        (id, queue, action, outcome, response, fingerprint, created_at)
    SELECT
        gen_random_uuid()::text, 'order', 'create', 'applied', '{}', md5(i::text),
        now() - interval '60 days' * (1 - i::float / %(ledger)s)
    FROM generate_series(1, %(ledger)s) i;
    ALTER TABLE processed_requests
        ADD CONSTRAINT processed_requests_pkey PRIMARY KEY (id) WITH (fillfactor = 70)
"""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a run meets: the ledger's size, the way to the database, the time of a sync.

    `sync_delay_ms` is added to each commit before its sync, by PostgreSQL itself (`commit_delay`).
    """

    ledger_rows: int = 10_000
    round_trip_ms: float = 0
    sync_delay_ms: float = 0


@dataclass(frozen=True, slots=True)
class Arena:
    """The database and the virtual host of one run.

    `database_url` is how the measured program reaches the database, `direct_url` how we do.
    """

    database_url: str
    direct_url: str
    rabbitmq_url: str

    def query(self, statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a query of ours."""
        return query(self.direct_url, statement, parameters)

    def publish(self, bodies: Iterable[bytes]) -> None:
        """Put persistent messages into the queue of orders, confirmed."""
        with closing(pika.BlockingConnection(pika.URLParameters(self.rabbitmq_url))) as connection:
            channel = connection.channel()
            channel.tx_select()
            for number, body in enumerate(bodies, start=1):
                channel.basic_publish("", Queue.ORDER, body, PERSISTENT)
                if number % PUBLISHED_AT_ONCE == 0:
                    channel.tx_commit()
            channel.tx_commit()

    def waiting(self, queue: str) -> tuple[int, int]:
        """Return how many messages are ready in a queue, and how many consumers it has."""
        with closing(pika.BlockingConnection(pika.URLParameters(self.rabbitmq_url))) as connection:
            method = connection.channel().queue_declare(queue, passive=True).method
            return int(method.message_count), int(method.consumer_count)

    def declare(self) -> None:
        """Declare the queue of orders, and one for a listener to all of their events."""
        with closing(pika.BlockingConnection(pika.URLParameters(self.rabbitmq_url))) as connection:
            channel = connection.channel()
            channel.queue_declare(Queue.ORDER, durable=True)
            channel.exchange_declare(EVENTS_EXCHANGE, "topic", durable=True)
            channel.queue_declare(EVENTS_QUEUE, durable=True)
            channel.queue_bind(EVENTS_QUEUE, EVENTS_EXCHANGE, "order.#")


@dataclass(slots=True)
class World:
    """The servers, and shops with a past to copy for each run."""

    postgres: PrivatePostgres
    rabbit: PrivateRabbit
    scratch: Path
    _templates: set[str] = field(default_factory=set)

    @contextmanager
    def arena(self, conditions: Conditions) -> Iterator[Arena]:
        """Give a copy of a shop with a past, and an empty virtual host; both are gone at the end.

        To drop a database flushes everything, so each run begins with the same disk.
        """
        template = self._template(conditions.ledger_rows)
        direct_url = self.postgres.create_database(DATABASE, template)
        try:
            self._delay_syncs(conditions.sync_delay_ms)
            rabbitmq_url = self.rabbit.add_vhost(DATABASE)
            with distant(direct_url, conditions.round_trip_ms) as database_url:
                arena = Arena(database_url, direct_url, rabbitmq_url)
                arena.declare()
                yield arena
        finally:
            self.rabbit.delete_vhost(DATABASE)
            self.postgres.drop_database(DATABASE)

    def _delay_syncs(self, delay_ms: float) -> None:
        settings = {"commit_delay": str(int(delay_ms * 1_000)), "commit_siblings": "0"}
        for name, value in settings.items() if delay_ms else ():
            self.postgres.run(f"ALTER DATABASE {DATABASE} SET {name} = {value}")

    def _template(self, ledger_rows: int) -> str:
        name = f"{DATABASE}_past_{ledger_rows}"
        if name not in self._templates:
            url = self.postgres.create_database(name)
            with closing(Database(url)) as database:
                migrate(database)
            parameters = {
                "users": USERS,
                "products": PRODUCTS,
                "stock": STOCK,
                "orders": OLD_ORDERS,
                "ledger": ledger_rows,
            }
            query(url, PAST, parameters)
            query(url, "VACUUM FREEZE ANALYZE")
            self._templates.add(name)
        return name


@contextmanager
def private_world() -> Iterator[World]:
    """Give private servers, with fsync as in earnest; ServerRefused where others are given."""
    with Servers(fsync=True) as servers:
        if not (
            isinstance(servers.postgres, PrivatePostgres)
            and isinstance(servers.rabbit, PrivateRabbit)
        ):
            raise ServerRefused(
                "the CPU time of the servers is measured, so they have to be private ones: unset "
                "RABBITMQ_URL and DATABASE_URL"
            )
        # No checkpoint in the middle of a run: one falls between two, when a database is dropped.
        servers.postgres.run(
            "ALTER SYSTEM SET max_wal_size = '16GB'",
            "ALTER SYSTEM SET checkpoint_timeout = '1h'",
            "SELECT pg_reload_conf()",
        )
        # The default, instead of the little that tests give it: above half of it, RabbitMQ moves
        # messages to disk and back.
        servers.rabbit.ctl("set_vm_memory_high_watermark", "0.4")
        _compile()
        yield World(servers.postgres, servers.rabbit, servers.scratch)


def _compile() -> None:
    """Write the bytecode of what is measured, as pip does when it installs a program.

    Where Python may not write it (PYTHONDONTWRITEBYTECODE), each start of a checkout would compile
    all modules, which takes half as long again.
    """
    for folder in ("orderd", "bench"):
        compileall.compile_dir(TREE / folder, quiet=2)


def query(
    url: str, statement: str | sql.Composable, parameters: dict[str, Any] | None = None
) -> list[tuple[Any, ...]]:
    """Return the rows of a statement that is a transaction of its own."""
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters or None)
            return cursor.fetchall() if cursor.description else []
