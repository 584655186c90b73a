"""What is measured on: private servers, a shop with a past, and commands that wait in the queue."""

import itertools
import json
import random
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

import pika
import psycopg2

from orderd.contract.names import Queue
from orderd.db.connection import Database
from orderd.db.migrations import migrate
from tools.servers import Servers

USERS = 1_000
PRODUCTS = 1_000
OLD_ORDERS = 10_000
PERSISTENT = pika.BasicProperties(delivery_mode=2)

# Sizes are those that users have after a while: plans made for empty tables would flatter nobody.
PAST = """
    INSERT INTO users (username, email)
    SELECT 'user' || i, 'user' || i || '@example.com' FROM generate_series(1, %(users)s) i;
    INSERT INTO products (name, price, stock_quantity)
    SELECT 'Product ' || i, 19.99, 1000000000 FROM generate_series(1, %(products)s) i;
    INSERT INTO orders (user_id, status, total_amount)
    SELECT 1 + i %% %(users)s, 'delivered', 59.97 FROM generate_series(1, %(orders)s) i;
    INSERT INTO order_items (order_id, product_id, quantity, unit_price)
    SELECT i, 1 + (i + j * 7) %% %(products)s, j, 19.99
    FROM generate_series(1, %(orders)s) i, generate_series(1, 2) j;
    INSERT INTO processed_requests (id, queue, action, outcome, response, fingerprint)
    SELECT 'old' || i, 'order', 'create', 'applied', '{}', md5(i::text)
    FROM generate_series(1, %(orders)s) i;
"""


@dataclass(frozen=True, slots=True)
class World:
    """Where to measure."""

    servers: Servers
    database_url: str
    rabbitmq_url: str
    _request_numbers: Iterator[int]

    @property
    def orderd_environment(self) -> dict[str, str]:
        """Return what leads a daemon to these servers."""
        return {
            "ORDERD_DATABASE_URL": self.database_url,
            "ORDERD_RABBITMQ_URL": self.rabbitmq_url,
        }

    def preload(self, count: int) -> None:
        """Put *count* persistent order commands, two lines each, into the queue, confirmed."""
        with closing(pika.BlockingConnection(pika.URLParameters(self.rabbitmq_url))) as connection:
            channel = connection.channel()
            channel.queue_declare(Queue.ORDER, durable=True)
            # All in one transaction: a confirm for each would take longer than the measurement.
            channel.tx_select()
            for _ in range(count):
                channel.basic_publish("", Queue.ORDER, self.command(), PERSISTENT)
            channel.tx_commit()

    def command(self) -> bytes:
        """Return a command like no other before."""
        first, second = random.sample(range(1, PRODUCTS + 1), 2)
        items = [{"product_id": first, "quantity": 1}, {"product_id": second, "quantity": 2}]
        command = {
            "id": f"bench-{next(self._request_numbers)}",
            "action": "create",
            "data": {"user_id": random.randint(1, USERS), "items": items},
        }
        return json.dumps(command).encode()

    def query(self, sql: str, **parameters: int) -> list[tuple[object, ...]]:
        """Return the rows of a query of ours."""
        with closing(psycopg2.connect(self.database_url)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql, parameters or None)
                return cursor.fetchall() if cursor.description else []

    def tidy(self) -> None:
        """Bring the tables into the same state before each measurement, as autovacuum would."""
        self.query("TRUNCATE outbox")
        self.query("VACUUM ANALYZE")
        self.query("CHECKPOINT")


@contextmanager
def pre_populated() -> Iterator[World]:
    """Give private servers, with fsync as in earnest, and the shop on them."""
    with Servers(fsync=True) as servers:
        database_url = servers.postgres.create_database("orderd_bench")
        with closing(Database(database_url)) as database:
            migrate(database)
        vhost_url = servers.rabbit.add_vhost("orderd_bench")
        world = World(servers, database_url, vhost_url, itertools.count(1))
        world.query(PAST, users=USERS, products=PRODUCTS, orders=OLD_ORDERS)
        try:
            yield world
        finally:
            servers.rabbit.delete_vhost("orderd_bench")
            servers.postgres.drop_database("orderd_bench")
