"""The shop as its neighbours see it: what is sent to orderd, and what the servers hold then."""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pika
import psycopg2
from pika.exceptions import AMQPError

from tools.waiting import NotObserved, patience_s, wait_until

COMMAND_QUEUES = ("user", "product", "order")
EVENTS_EXCHANGE = "orderd.events"
REPLIES = "replies"
HEARD = "heard"
DIRECT_REPLY_TO = "amq.rabbitmq.reply-to"
TIMEOUT_S = 20.0
PERSISTENT = 2


@dataclass(frozen=True, slots=True)
class Message:
    """A message to a queue: whatever bytes, whatever properties."""

    queue: str
    body: bytes
    properties: pika.BasicProperties


@dataclass(frozen=True, slots=True)
class Received:
    """A message as it came out of a queue."""

    body: bytes
    properties: Any
    routing_key: str

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def headers(self) -> Mapping[str, Any]:
        return self.properties.headers or {}


class Shop:
    """A producer, a caller and a reader of the tables, all in one; nothing of orderd's code.

    With a *queue_type* its queues are of that type, by their arguments.
    """

    def __init__(self, rabbitmq_url: str, database_url: str, queue_type: str = "") -> None:
        self._database_url = database_url
        self._connection = pika.BlockingConnection(parameters(rabbitmq_url))
        self.channel = self._connection.channel()
        # What is sent is safely with the broker when `send_all` returns.
        self._sending = self._connection.channel()
        self._sending.tx_select()
        arguments = {"x-queue-type": queue_type} if queue_type else None
        for queue in (*COMMAND_QUEUES, REPLIES):
            self.channel.queue_declare(queue, durable=True, arguments=arguments)

    def close(self) -> None:
        # The broker may have been stopped by the test, and this connection with it.
        with suppress(AMQPError):
            self._connection.close()

    def listen(self) -> None:
        """Keep every event from now on, in the queue `HEARD`."""
        self.channel.exchange_declare(EVENTS_EXCHANGE, "topic", durable=True)
        self.channel.queue_declare(HEARD, durable=True)
        self.channel.queue_bind(HEARD, EVENTS_EXCHANGE, "#")

    def open_with(self, *, users: int = 1, stock: int | None = None, products: int = 1) -> None:
        """Put users, and products with this stock if any, straight into the tables: ids from 1."""
        self.query(
            "INSERT INTO users (username, email) "
            "SELECT 'user' || i, 'user' || i || '@example.com' FROM generate_series(1, %s) i",
            users,
        )
        if stock is not None:
            self.query(
                "INSERT INTO products (name, price, stock_quantity) "
                "SELECT 'product:' || %s, 10, %s FROM generate_series(1, %s)",
                stock,
                stock,
                products,
            )

    def send(self, queue: str, action: str, content: object = None, **envelope: Any) -> None:
        """Send a command, persistent, that is answered to the queue `REPLIES`."""
        self.send_all([command(queue, action, content, **envelope)])

    def send_all(self, messages: Iterable[Message]) -> None:
        """Send messages in their order; the broker has them all when this returns."""
        for message in messages:
            self._sending.basic_publish("", message.queue, message.body, message.properties)
        self._sending.tx_commit()

    def call(
        self, queue: str, action: str, content: object = None, **envelope: Any
    ) -> dict[str, Any]:
        """Return the reply to a command, through RabbitMQ's direct reply-to."""
        reply = json.loads(self.call_raw(command(queue, action, content, **envelope)))
        assert isinstance(reply, dict)
        return reply

    def call_raw(self, message: Message) -> bytes:
        """Return the body of the reply to a message, sent to ask for it by direct reply-to."""
        replies: list[bytes] = []
        message.properties.reply_to = DIRECT_REPLY_TO
        with self._connection.channel() as channel:
            channel.basic_consume(
                DIRECT_REPLY_TO, lambda *reply: replies.append(reply[-1]), auto_ack=True
            )
            channel.basic_publish("", message.queue, message.body, message.properties)
            deadline_s = time.monotonic() + patience_s(TIMEOUT_S)
            while not replies:
                if time.monotonic() > deadline_s:
                    raise NotObserved(f"no reply to {message.body!r} in time")
                self._connection.process_data_events(0.5)
        return replies[0]

    def take_all(self, queue: str) -> list[Received]:
        """Take what is in the queue now."""
        taken: list[Received] = []
        while True:
            method, properties, body = self.channel.basic_get(queue, auto_ack=True)
            if method is None:
                return taken
            taken.append(Received(body, properties, method.routing_key))

    def take(self, queue: str, count: int = 1, timeout_s: float = TIMEOUT_S) -> list[Received]:
        """Take so many messages from the queue, waiting for them; NotObserved if fewer come."""
        taken: list[Received] = []

        def enough() -> bool:
            taken.extend(self.take_all(queue))
            return len(taken) >= count

        wait_until(enough, timeout_s=timeout_s, what=f"{count} messages in {queue}")
        return taken

    def ready(self, queue: str) -> int:
        """Return how many messages the queue has ready for delivery."""
        return int(self.channel.queue_declare(queue, passive=True).method.message_count)

    def consumers(self, queue: str) -> int:
        """Return how many consumers the queue has."""
        return int(self.channel.queue_declare(queue, passive=True).method.consumer_count)

    def waiting(self) -> int:
        """Return how many commands are ready for delivery, in all queues together."""
        return sum(self.ready(queue) for queue in COMMAND_QUEUES)

    def query(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Return the rows of an SQL query; outages are the caller's."""
        with closing(psycopg2.connect(self._database_url)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql, parameters or None)
                return cursor.fetchall() if cursor.description else []

    def value(self, sql: str, *parameters: object) -> Any:
        """Return the one value of an SQL query."""
        ((value,),) = self.query(sql, *parameters)
        return value

    def outcomes(self) -> dict[str, str]:
        """Return what the ledger says: request id to outcome, or to the code of a refusal."""
        rows = self.query("SELECT id, outcome, code FROM processed_requests")
        return {request_id: code or outcome for request_id, outcome, code in rows}

    def wait_for(self, *request_ids: str, timeout_s: float = TIMEOUT_S) -> dict[str, str]:
        """Return the outcomes, once the ledger has these requests."""

        def all_there() -> dict[str, str]:
            outcomes = self.outcomes()
            return outcomes if outcomes.keys() >= set(request_ids) else {}

        return wait_until(all_there, timeout_s=timeout_s, what=f"outcomes of {request_ids[:5]}")

    def wait_for_rows(self, count: int, table: str, timeout_s: float = TIMEOUT_S) -> None:
        """Return when the table has exactly so many rows."""

        def there() -> bool:
            return bool(self.value(f"SELECT count(*) FROM {table}") == count)  # noqa: S608

        wait_until(there, timeout_s=timeout_s, what=f"{count} rows in {table}")

    def stock_mismatches(self) -> list[tuple[Any, ...]]:
        """Return the products whose stock and open orders do not make up what `added` says.

        The tests put a product's first stock into its name, behind a colon.
        """
        return self.query(
            """
            SELECT p.id, p.name, p.stock_quantity, coalesce(sum(i.quantity), 0)
            FROM products p
            LEFT JOIN (order_items i JOIN orders o ON o.id = i.order_id AND o.status <> 'cancelled')
                ON i.product_id = p.id
            GROUP BY p.id
            HAVING p.stock_quantity < 0
                OR p.stock_quantity + coalesce(sum(i.quantity), 0)
                    <> split_part(p.name, ':', 2)::bigint
            """
        )


def parameters(rabbitmq_urls: str) -> list[pika.URLParameters]:
    """Return how to connect to the first node that answers, of one or several URLs."""
    return [pika.URLParameters(url) for url in rabbitmq_urls.split(",")]


def command(
    queue: str,
    action: str,
    content: object = None,
    *,
    reply_to: str | None = REPLIES,
    headers: Mapping[str, Any] | None = None,
    correlation_id: str | None = None,
    **envelope: Any,
) -> Message:
    """Return a command as a message; the envelope's further fields by name (`id`, `version`)."""
    body: dict[str, object] = {"action": action, **envelope}
    if content is not None:
        body["data"] = content
    properties = pika.BasicProperties(
        delivery_mode=PERSISTENT,
        reply_to=reply_to,
        headers=None if headers is None else dict(headers),
        correlation_id=correlation_id,
    )
    return Message(queue, json.dumps(body).encode(), properties)


def user(name: str = "ann", **envelope: Any) -> Message:
    """Return the command that makes a user."""
    content = {"username": name, "email": f"{name}@example.com"}
    return command("user", "create", content, **_identified(envelope))


def product(stock: int = 100, price: object = "10.00", **envelope: Any) -> Message:
    """Return the command that makes a product, whose name says its first stock."""
    content = {"name": f"product:{stock}", "price": price, "stock_quantity": stock}
    return command("product", "create", content, **_identified(envelope))


def order(
    items: Mapping[int, int] | Sequence[tuple[int, int]], user_id: int = 1, **envelope: Any
) -> Message:
    """Return the command that orders quantities by product id."""
    pairs = items.items() if isinstance(items, Mapping) else items
    lines = [{"product_id": product_id, "quantity": quantity} for product_id, quantity in pairs]
    content = {"user_id": user_id, "items": lines}
    return command("order", "create", content, **_identified(envelope))


def _identified(envelope: dict[str, Any]) -> dict[str, Any]:
    return {"id": str(uuid4()), **envelope}
