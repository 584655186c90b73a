"""The parts of a daemon in this process, which do one batch at a time."""

import gc
import itertools
import json
import warnings
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pika
import psycopg2

from orderd.config.load import load
from orderd.daemon.app import App
from orderd.daemon.shop_work import ORDERD_PROGRAM
from orderd.protocol.names import Queue
from orderd.runtime.signals import Signals
from orderd.runtime.systemd import Notifier
from tools.waiting import wait_until

USERS: Final = 1_000
PRODUCTS: Final = 1_000
STOCKED: Final = """
    INSERT INTO users (username, email)
    SELECT 'user' || i, 'user' || i || '@example.com' FROM generate_series(1, %(users)s) i;
    INSERT INTO products (name, price, stock_quantity)
    SELECT 'product ' || i, 19.99, 1000000 FROM generate_series(1, %(products)s) i;
"""


class Worker:
    """The parts of a daemon, connected, that do one batch at a time when they are told to."""

    def __init__(self, database_url: str, rabbitmq_url: str, nowhere: Path) -> None:
        environment = {
            "ORDERD_DATABASE_URL": database_url,
            "ORDERD_RABBITMQ_URL": rabbitmq_url,
            "ORDERD_HEALTH_FILE": "",
            # No heartbeat is due while work is counted.
            "ORDERD_HEARTBEAT": "600s",
        }
        settings = load(environ=environment, default_file=nowhere, secrets_directory=nowhere)
        self.app = App(ORDERD_PROGRAM, settings, Signals(), Notifier())
        self.app.database.connect()
        self.app.connect_broker()
        self._caller = pika.BlockingConnection(pika.URLParameters(rabbitmq_url))
        self._channel: Any = self._caller.channel()
        self._numbers = itertools.count()

    def close(self) -> None:
        self._caller.close()
        self.app.close()
        # That for direct replies is not closed but given up: its socket goes with its objects.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()

    def send(self, size: int, reply_to: str | None = None) -> None:
        """Send so many orders."""
        properties = pika.BasicProperties(delivery_mode=2, reply_to=reply_to)
        for _ in range(size):
            self._channel.basic_publish("", Queue.ORDER, self._order(), properties)

    def ask(self, reply_to: str) -> None:
        """Send a query for a row."""
        properties = pika.BasicProperties(reply_to=reply_to)
        body = json.dumps({"action": "get", "data": {"id": 1}})
        self._channel.basic_publish("", Queue.PRODUCT, body.encode(), properties)

    def take(self, size: int) -> None:
        """Have so many commands in the inbox."""
        consumer = self.app.consumer

        def has_come() -> bool:
            consumer.poll(0.1)
            consumer.fill(size)
            return len(consumer.inbox) >= size

        wait_until(has_come, timeout_s=20, what=f"{size} commands in the inbox")

    def begin(self, size: int) -> None:
        """Do one batch of what was taken; its confirms may come in during the next one."""
        self.app.pipeline.run_batch(size)

    def finish(self) -> None:
        """Settle what was begun."""
        self.app.settler.finish()

    def do(self, size: int, reply_to: str | None = None) -> None:
        """Send so many orders, and do and settle them as one batch."""
        self.send(size, reply_to)
        self.take(size)
        self.begin(size)
        self.finish()

    def delete_sent(self) -> None:
        """Delete the rows of confirmed events."""
        self.app.work.end()

    def connect_for_replies(self) -> str:
        """Return the address of a caller; the connection for its replies is open then."""
        reply_to = "amq.rabbitmq.reply-to"
        self._channel.basic_consume(reply_to, lambda *_: None, auto_ack=True)
        self.do(1, reply_to)

        def is_answered() -> bool:
            self.app.direct_replies.turn()
            return not self.app.direct_replies.is_busy

        wait_until(is_answered, timeout_s=20, what="the first reply")
        return reply_to

    def connect_queue(self) -> str:
        """Return the name of a caller's queue."""
        return str(self._channel.queue_declare("", exclusive=True).method.queue)

    def _order(self) -> bytes:
        number = next(self._numbers)
        first = 1 + 2 * number % PRODUCTS
        items = [
            {"product_id": first, "quantity": 1},
            {"product_id": first + 1, "quantity": 2},
        ]
        data = {"user_id": 1 + number % USERS, "items": items}
        return json.dumps({"id": f"order-{number}", "action": "create", "data": data}).encode()


def stock(database_url: str) -> None:
    """Put users and products into a database."""
    with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        cursor.execute(STOCKED, {"users": USERS, "products": PRODUCTS})
        connection.commit()
