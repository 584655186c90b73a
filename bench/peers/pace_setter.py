"""The pace-setter: how fast a worker in Python can be that does the least the books allow.

It is a measuring instrument and no example. It does less than orderd: no exact decimals, no
fingerprints, no redelivery check, no log, short replies and events, no handling of any fault, and
one private call of pika. While PostgreSQL works on a statement, psycopg2's wait callback does what
has no part in the transaction: acks and publishes the last batch, reads deliveries, parses the next
batch, slice by slice, with a look at PostgreSQL's socket between slices.

`python -m bench.peers.pace_setter BATCH_MAX`
"""

import json
import select
import sys
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, Literal
from uuid import UUID

import pika
import psycopg2
from pika import frame, spec
from pika.adapters.select_connection import SelectConnection
from psycopg2.extensions import POLL_OK, POLL_WRITE, set_wait_callback
from pydantic import BaseModel, ConfigDict, Field

from bench.peers.servers import DATABASE_URL, EVENTS_EXCHANGE, ORDERS_QUEUE, RABBITMQ_URL

SLICE = 25
KEPT_BATCHES = 2
PERSISTENT = pika.BasicProperties(delivery_mode=2, content_type="application/json")

BEGIN = """
    BEGIN;
    DELETE FROM outbox WHERE id = ANY(%(sent)s::bigint[]);
    SELECT
        (
            SELECT array_agg(id || ' ' || (price * 100)::bigint || ' ' || stock_quantity)
            FROM (
                SELECT id, price, stock_quantity FROM products
                WHERE id = ANY(%(products)s::bigint[]) ORDER BY id FOR NO KEY UPDATE
            ) AS locked
        ),
        (SELECT array_agg(id) FROM users WHERE id = ANY(%(users)s::bigint[])),
        (SELECT array_agg(id) FROM processed_requests WHERE id = ANY(%(requests)s::text[])),
        (SELECT array_agg(nextval('orders_id_seq')) FROM generate_series(1, %(count)s)),
        (SELECT array_agg(nextval('outbox_id_seq')) FROM generate_series(1, %(count)s))
"""
WRITE = """
    WITH stock AS (
        UPDATE products SET stock_quantity = stock_quantity - taken.quantity, updated_at = now()
        FROM unnest(%(taken)s::bigint[], %(taken_quantity)s::bigint[]) AS taken (id, quantity)
        WHERE products.id = taken.id
    ), orders AS (
        INSERT INTO orders (id, user_id, status, total_amount)
        SELECT id, user_id, 'pending', cents / 100.0
        FROM unnest(%(order)s::bigint[], %(user)s::bigint[], %(cents)s::bigint[])
            AS new (id, user_id, cents)
    ), items AS (
        INSERT INTO order_items (order_id, product_id, quantity, unit_price)
        SELECT order_id, product_id, quantity, cents / 100.0
        FROM unnest(
            %(line_order)s::bigint[], %(line_product)s::bigint[], %(line_quantity)s::bigint[],
            %(line_cents)s::bigint[]
        ) AS new (order_id, product_id, quantity, cents)
    ), ledger AS (
        INSERT INTO processed_requests (id, queue, action, outcome, response, fingerprint)
        SELECT id, 'order', 'create', 'applied', body::jsonb, ''
        FROM unnest(%(request)s::text[], string_to_array(%(body)s, E'\\n')) AS new (id, body)
    )
    INSERT INTO outbox (id, message_id, type, body)
    SELECT id, message_id, 'order.created', body
    FROM unnest(
        %(outbox)s::bigint[], %(message)s::uuid[], string_to_array(%(body)s, E'\\n')
    ) AS new (id, message_id, body);
    COMMIT
"""

Positive = Annotated[int, Field(ge=1)]


class Item(BaseModel):
    """A line of a command."""

    model_config = ConfigDict(extra="forbid", strict=True)
    product_id: Positive
    quantity: Positive


class OrderData(BaseModel):
    """What a command orders."""

    model_config = ConfigDict(extra="forbid", strict=True)
    user_id: Positive
    items: Annotated[list[Item], Field(min_length=1, max_length=100)]


class Command(BaseModel):
    """The body of a message."""

    id: UUID
    version: Literal["v1"]
    action: Literal["create"]
    data: OrderData


parse = Command.__pydantic_validator__.validate_json


@dataclass(slots=True)
class Batch:
    """The columns that a batch writes, and the bodies of its events."""

    order: list[int] = field(default_factory=list)
    user: list[int] = field(default_factory=list)
    cents: list[int] = field(default_factory=list)
    line_order: list[int] = field(default_factory=list)
    line_product: list[int] = field(default_factory=list)
    line_quantity: list[int] = field(default_factory=list)
    line_cents: list[int] = field(default_factory=list)
    request: list[str] = field(default_factory=list)
    outbox: list[int] = field(default_factory=list)
    message: list[str] = field(default_factory=list)
    bodies: list[str] = field(default_factory=list)
    taken: Counter[int] = field(default_factory=Counter)

    def parameters(self) -> dict[str, str]:
        """Return the parameters of the statement that writes it."""
        columns = ("order", "user", "cents", "request", "outbox", "message")
        lines = ("line_order", "line_product", "line_quantity", "line_cents")
        return {
            **{name: array(getattr(self, name)) for name in (*columns, *lines)},
            "taken": array(self.taken),
            "taken_quantity": array(self.taken.values()),
            "body": "\n".join(self.bodies),
        }


class Publisher:
    """Events, confirmed in bulk: a batch goes into one buffer, and so into one `send`."""

    def __init__(self) -> None:
        self._sent = 0
        self._unconfirmed: set[int] = set()
        self._headers: dict[int, bytes] = {}
        self._is_ready = False
        self._connection = SelectConnection(
            pika.URLParameters(RABBITMQ_URL),
            on_open_callback=lambda connection: connection.channel(on_open_callback=self._opened),
        )
        while not self._is_ready:
            self._connection.ioloop.start()

    def wait(self) -> None:
        """Return when all that was published is confirmed."""
        while self._unconfirmed:
            self._connection.ioloop.start()

    def publish(self, bodies: list[str]) -> None:
        """Send a batch, once the last one is confirmed."""
        self.wait()
        frames = []
        for body in bodies:
            encoded = body.encode()
            size = len(encoded)
            if size not in self._headers:
                self._headers[size] = frame.Header(self._number, size, PERSISTENT).marshal()
            frames += [
                self._method,
                self._headers[size],
                frame.Body(self._number, encoded).marshal(),
            ]
        self._unconfirmed.update(range(self._sent + 1, self._sent + len(bodies) + 1))
        self._sent += len(bodies)
        self._connection._output_marshaled_frames([b"".join(frames)])  # noqa: SLF001 - see above
        # One turn, which gives the buffer to the socket.
        self._connection.ioloop.call_later(0, self._connection.ioloop.stop)
        self._connection.ioloop.start()

    def _opened(self, channel: Any) -> None:
        self._number = channel.channel_number
        publish = spec.Basic.Publish(exchange=EVENTS_EXCHANGE, routing_key="order.created")
        self._method = frame.Method(self._number, publish).marshal()
        channel.confirm_delivery(self._confirmed, callback=self._selected)

    def _selected(self, _: Any) -> None:
        self._is_ready = True
        self._connection.ioloop.stop()

    def _confirmed(self, confirm: Any) -> None:
        method = confirm.method
        if not isinstance(method, spec.Basic.Ack):
            raise TypeError("the broker has refused an event")
        if method.multiple:
            self._unconfirmed = {one for one in self._unconfirmed if one > method.delivery_tag}
        else:
            self._unconfirmed.discard(method.delivery_tag)
        if not self._unconfirmed:
            self._connection.ioloop.stop()


class Worker:
    """A database connection, a consuming one and a publishing one, in one thread."""

    def __init__(self, batch_max: int) -> None:
        self._batch_max = batch_max
        self._publisher = Publisher()
        self._database = psycopg2.connect(DATABASE_URL)
        self._database.autocommit = True
        self._cursor = self._database.cursor()
        self._poller = select.poll()
        self._poller.register(self._database.fileno(), select.POLLIN)
        self._broker = pika.BlockingConnection(pika.URLParameters(RABBITMQ_URL))
        self._channel = self._broker.channel()
        self._channel.basic_qos(prefetch_count=2 * batch_max)
        self._arrived: deque[tuple[int, bytes]] = deque()
        self._parsed: deque[tuple[int, Command]] = deque()
        self._jobs: deque[Callable[[], None]] = deque()
        self._has_read = False
        # Outbox rows of the last batches; those of all but the last two are known to be confirmed.
        self._sent: deque[list[int]] = deque()

    def run(self) -> None:
        """Work until the process is ended."""
        set_wait_callback(self._wait)
        self._channel.basic_consume(ORDERS_QUEUE, self._on_message)
        while True:
            batch = self._next_batch()
            bodies = self._commit([command for _, command in batch])
            tag = batch[-1][0]
            self._jobs.append(partial(self._channel.basic_ack, tag, multiple=True))
            self._jobs.append(partial(self._publisher.publish, bodies))

    def _on_message(self, _channel: Any, delivery: Any, _properties: Any, body: bytes) -> None:
        self._arrived.append((delivery.delivery_tag, body))

    def _next_batch(self) -> list[tuple[int, Command]]:
        """Return what is there, at least one command."""
        self._has_read = False
        while not self._parsed or (len(self._parsed) < self._batch_max and not self._has_read):
            if self._do_a_slice(with_jobs=False):
                continue
            if not self._parsed:
                self._finish_jobs()
                self._broker.process_data_events(time_limit=None)
                self._has_read = False
        size = min(len(self._parsed), self._batch_max)
        return [self._parsed.popleft() for _ in range(size)]

    def _finish_jobs(self) -> None:
        """Nothing waits: publish what is left, and take its rows out of the outbox."""
        while self._jobs:
            self._jobs.popleft()()
        self._publisher.wait()
        while self._sent:
            self._cursor.execute("DELETE FROM outbox WHERE id = ANY(%s)", (self._sent.popleft(),))

    def _wait(self, connection: Any) -> None:
        """Wait for PostgreSQL, and work meanwhile."""
        while True:
            state = connection.poll()
            if state == POLL_OK:
                return
            if state == POLL_WRITE:
                select.select([], [connection.fileno()], [])
                continue
            self._has_read = False
            while not self._poller.poll(0) and self._do_a_slice(with_jobs=True):
                pass
            self._poller.poll()

    def _do_a_slice(self, *, with_jobs: bool) -> bool:
        """Do one thing that has no part in the transaction; False: there is nothing to do."""
        if with_jobs and self._jobs:
            self._jobs.popleft()()
            return True
        if len(self._parsed) >= self._batch_max:
            return False
        if self._arrived:
            for _ in range(min(SLICE, len(self._arrived))):
                tag, body = self._arrived.popleft()
                self._parsed.append((tag, parse(body)))
            return True
        if self._has_read:
            return False
        self._broker.process_data_events(time_limit=0)
        self._has_read = True
        return bool(self._arrived)

    def _commit(self, commands: list[Command]) -> list[str]:
        """Write the orders of a batch in one transaction, two round trips; return its events."""
        confirmed = self._sent.popleft() if len(self._sent) > KEPT_BATCHES else []
        items = [item for command in commands for item in command.data.items]
        parameters = {
            "sent": array(confirmed),
            "products": array({item.product_id for item in items}),
            "users": array({command.data.user_id for command in commands}),
            "requests": array(command.id for command in commands),
            "count": len(commands),
        }
        self._cursor.execute(BEGIN, parameters)
        batch = decide(commands, self._cursor.fetchone())
        self._cursor.execute(WRITE, batch.parameters())
        self._sent.append(batch.outbox)
        return batch.bodies


def decide(commands: list[Command], found: Any) -> Batch:
    """Return what a batch writes; commands that are done or cannot be applied are left out."""
    rows, users, done, order_ids, outbox_ids = found
    prices, stock = {}, {}
    for row in rows or ():
        product_id, cents, quantity = map(int, row.split())
        prices[product_id], stock[product_id] = cents, quantity
    known, settled = set(users or ()), set(done or ())
    batch = Batch()
    for command, order_id, outbox_id in zip(commands, order_ids, outbox_ids, strict=True):
        data, request_id = command.data, str(command.id)
        if request_id in settled or data.user_id not in known:
            continue
        if any(stock.get(item.product_id, 0) < item.quantity for item in data.items):
            continue
        settled.add(request_id)
        total = add_lines(batch, order_id, data, prices, stock)
        batch.order.append(order_id)
        batch.user.append(data.user_id)
        batch.cents.append(total)
        batch.request.append(request_id)
        batch.outbox.append(outbox_id)
        batch.message.append(str(uuid.uuid4()))
        event = {"id": order_id, "user_id": data.user_id, "total_cents": total}
        batch.bodies.append(json.dumps(event))
    return batch


def add_lines(
    batch: Batch, order_id: int, data: OrderData, prices: dict[int, int], stock: dict[int, int]
) -> int:
    """Add the lines of an order and take its stock; return its total in cents."""
    total = 0
    for item in data.items:
        product_id, quantity = item.product_id, item.quantity
        price = prices[product_id]
        total += price * quantity
        stock[product_id] -= quantity
        batch.taken[product_id] += quantity
        batch.line_order.append(order_id)
        batch.line_product.append(product_id)
        batch.line_quantity.append(quantity)
        batch.line_cents.append(price)
    return total


def array(values: Iterable[Any]) -> str:
    """Return a PostgreSQL array of numbers or ids, which need no quotes."""
    return f"{{{','.join(map(str, values))}}}"


if __name__ == "__main__":
    Worker(int(sys.argv[1])).run()
