"""Dead letters as the daemon would leave them, put there without it, and what is left of them."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pika
import psycopg2

from tools.waiting import wait_until

Letter = tuple[str, bytes, Mapping[str, Any]]
QUEUES = ("user", "product", "order")
# Events as a daemon leaves them that dies before it sends them.
UNSENT = """
    INSERT INTO outbox (message_id, type, body, created_at, claimed_at)
    SELECT gen_random_uuid(), 'order.created', concat(
        '{{"specversion":"1.0","subject":"{subject}",', '"correlationid":"{correlation}",',
        '"data":{{"text":"r1 \\\\u0000"}}}}'
    ), now() - interval '90 s', now() + interval '1 h'
    FROM generate_series(1, {count})
"""


@dataclass(frozen=True, slots=True)
class Taken:
    """A message as somebody else finds it."""

    body: bytes
    properties: Any

    @property
    def headers(self) -> Mapping[str, Any]:
        return self.properties.headers or {}


class Broker:
    """A plain client of the virtual host, which knows nothing of orderd."""

    def __init__(self, channel: Any) -> None:
        self.channel = channel
        channel.confirm_delivery()

    def declare(self, **arguments: Any) -> None:
        """Declare command queues and dead letter queues, all durable."""
        arguments = {f"x-{name.replace('_', '-')}": arguments[name] for name in arguments}
        for queue in QUEUES:
            for name in (queue, f"{queue}.dlq"):
                self.channel.queue_declare(name, durable=True, arguments=arguments)

    def bury(self, queue: str, body: bytes, **told: Any) -> None:
        """Put a dead letter where the daemon would; *told* are headers, by name in orderd's."""
        age_s = told.pop("age_s", 0)
        more = told.pop("headers", {})
        moment = datetime.now(UTC) - timedelta(seconds=age_s)
        headers = {
            "orderd-failed-at": moment.isoformat().replace("+00:00", "Z"),
            "orderd-code": told.pop("code", "malformed"),
            "orderd-reason": "because",
            "orderd-queue": queue,
            "orderd-attempt": 2,
            "orderd-error": "Traceback",
        }
        properties = pika.BasicProperties(headers=headers | more, delivery_mode=2, **told)
        self.channel.basic_publish("", f"{queue}.dlq", body, properties, mandatory=True)

    def bury_numbered(self, queue: str, numbers: Sequence[int], **told: Any) -> None:
        for number in numbers:
            self.bury(queue, b"%d" % number, **told)

    def ready(self, queue: str) -> int:
        return int(self.channel.queue_declare(queue, passive=True).method.message_count)

    def take_all(self, queue: str) -> list[Taken]:
        taken: list[Taken] = []
        while True:
            method, properties, body = self.channel.basic_get(queue, auto_ack=True)
            if method is None:
                return taken
            taken.append(Taken(body, properties))

    def take_bodies(self, queue: str) -> list[bytes]:
        return [one.body for one in self.take_all(queue)]

    def wait_for(self, queue: str, count: int) -> None:
        """Return when the queue has so many messages ready."""
        wait_until(
            lambda: self.ready(queue) == count, timeout_s=20, what=f"{count} messages in {queue}"
        )


@contextmanager
def broker_at(url: str) -> Iterator[Broker]:
    parameters = pika.URLParameters(url)
    # Nothing services it while a program runs, for minutes in some tests.
    parameters.heartbeat = 0
    with closing(pika.BlockingConnection(parameters)) as connection:
        yield Broker(connection.channel())


def execute(database_url: str, sql: str) -> None:
    with closing(psycopg2.connect(database_url)) as connection, connection:
        connection.cursor().execute(sql)


def value(database_url: str, sql: str) -> Any:
    with closing(psycopg2.connect(database_url)) as connection:
        cursor = connection.cursor()
        cursor.execute(sql)
        ((found,),) = cursor.fetchall()
        return found


def wait_for_value(database_url: str, sql: str, wanted: object) -> None:
    wait_until(
        lambda: value(database_url, sql) == wanted,
        timeout_s=20,
        what=f"{sql}: {wanted}",
    )


@dataclass(frozen=True, slots=True)
class Cause:
    """Dead letters of one cause: their queue, action, code and reason, in which {} is a value."""

    queue: str
    action: str
    code: str
    reason: str


CAUSES = (
    Cause("product", "create", "retries_exhausted", "unexpected: DivisionByZero: row {} is odd"),
    Cause("order", "create", "invalid_data", "data.items must be a list; got '{}'"),
    Cause("order", "refund", "unknown_action", "unknown action 'refund{}' for queue order (v1)"),
)


def letter_of(cause: Cause, number: int, content: Mapping[str, Any] | None = None) -> Letter:
    """Return the letter *number* of *cause*, whose request has the id `letter-NUMBER`."""
    body = {"id": f"letter-{number}", "action": cause.action, "data": content or {}}
    headers = {
        "orderd-failed-at": datetime.fromtimestamp(1_700_000_000 + number, UTC).isoformat(),
        "orderd-code": cause.code,
        "orderd-reason": cause.reason.format(number),
        "orderd-queue": cause.queue,
        "orderd-attempt": 0,
    }
    return f"{cause.queue}.dlq", json.dumps(body).encode(), headers


def bury_many(url: str, letters: Iterable[Letter]) -> Counter[str]:
    """Put *letters* into their queues, unconfirmed and fast; return how many are in each."""
    counts = Counter[str]()
    with closing(pika.BlockingConnection(pika.URLParameters(url))) as connection:
        channel = connection.channel()
        for queue, body, headers in letters:
            properties = pika.BasicProperties(headers=headers, delivery_mode=2)
            channel.basic_publish("", queue, body, properties)
            counts[queue] += 1
    with broker_at(url) as broker:
        for queue, count in counts.items():
            broker.wait_for(queue, count)
    return counts
