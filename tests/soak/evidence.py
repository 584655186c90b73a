"""What RabbitMQ and PostgreSQL hold when everything is over."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.acceptance.shop import COMMAND_QUEUES, HEARD, REPLIES, Received, Shop

WAIT_S = 5.0


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the ledger; `row` is what was answered: the user, product or order."""

    action: str
    outcome: str
    code: str | None
    row: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Heard:
    """An event, one of its copies."""

    event_id: str
    type: str
    token: str | None
    content: dict[str, Any]
    subject: str
    sequence: int | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that can be known from outside; of orderd's own words only its log of retries.

    `deferred` holds the code of each attempt that was spent.
    """

    ledger: dict[str, Entry]
    letters: list[Received]
    replies: dict[str, list[bytes]]
    events: list[Heard]
    queued: dict[str, int]
    orders: dict[int, str]
    names: list[str]
    outbox: int
    tries: int
    wrong_sums: list[tuple[Any, ...]]
    stocks: dict[int, tuple[int, int]]
    revisions: dict[str, int]
    deferred: list[str]


def gather(shop: Shop, retry_queues: list[str], deferred: list[str]) -> Evidence:
    """Take everything out of the queues, and read the tables."""
    letters = [letter for queue in COMMAND_QUEUES for letter in drain(shop, f"{queue}.dlq")]
    replies = defaultdict(list)
    for reply in drain(shop, REPLIES):
        replies[str(reply.properties.correlation_id)].append(reply.body)
    events = [_heard(one) for one in drain(shop, HEARD)]
    queues = [*COMMAND_QUEUES, *retry_queues]
    return Evidence(
        ledger=_ledger(shop),
        letters=letters,
        replies=replies,
        events=[one for one in events if not one.type.startswith("system.")],
        queued={queue: count for queue in queues if (count := shop.ready(queue))},
        orders=dict(shop.query("SELECT id, status FROM orders")),
        names=_names(shop),
        outbox=shop.value("SELECT count(*) FROM outbox"),
        tries=shop.value("SELECT count(*) FROM message_tries"),
        wrong_sums=_wrong_sums(shop),
        stocks=_stocks(shop),
        revisions=_revisions(shop),
        deferred=deferred,
    )


def drain(shop: Shop, queue: str) -> Iterator[Received]:
    """Yield what is in the queue, taken out of it."""
    left = shop.ready(queue)
    if not left:
        return
    taken = shop.channel.consume(queue, auto_ack=True, inactivity_timeout=WAIT_S)
    for method, properties, body in taken:
        if method is None:
            break
        yield Received(body, properties, method.routing_key)
        left -= 1
        if not left:
            break
    shop.channel.cancel()


def _heard(one: Received) -> Heard:
    event = one.json
    assert event["id"] == one.properties.message_id
    sequence = event.get("sequence")
    return Heard(
        event["id"],
        event["type"],
        event.get("correlationid"),
        event["data"],
        event["subject"],
        None if sequence is None else int(sequence),
    )


def _ledger(shop: Shop) -> dict[str, Entry]:
    rows = shop.query("SELECT id, action, outcome, code, response FROM processed_requests")
    return {
        request_id: Entry(action, outcome, code, (response or {}).get("data") or {})
        for request_id, action, outcome, code, response in rows
    }


def _names(shop: Shop) -> list[str]:
    """Return the names that commands gave, which hold the ids of their requests."""
    rows = shop.query(
        "SELECT username FROM users UNION ALL "
        "SELECT split_part(name, ':', 3) FROM products WHERE name LIKE 'product:%:%'"
    )
    return [name for (name,) in rows]


def _wrong_sums(shop: Shop) -> list[tuple[Any, ...]]:
    return shop.query(
        "SELECT o.id, o.total_amount, sum(i.quantity * i.unit_price) "
        "FROM orders o LEFT JOIN order_items i ON i.order_id = o.id GROUP BY o.id "
        "HAVING o.total_amount IS DISTINCT FROM sum(i.quantity * i.unit_price)"
    )


def _revisions(shop: Shop) -> dict[str, int]:
    """Return the revision of each row, by the subject of its events."""
    rows = shop.query(
        "SELECT 'user/' || id, revision FROM users UNION ALL "
        "SELECT 'product/' || id, revision FROM products UNION ALL "
        "SELECT 'order/' || id, revision FROM orders"
    )
    return {subject: int(revision) for subject, revision in rows}


def _stocks(shop: Shop) -> dict[int, tuple[int, int]]:
    """Return for each product its stock, and its first stock less what is in open orders."""
    rows = shop.query(
        """
        SELECT p.id, p.stock_quantity,
            split_part(p.name, ':', 2)::bigint - coalesce(sum(i.quantity), 0)
        FROM products p
        LEFT JOIN (order_items i JOIN orders o ON o.id = i.order_id AND o.status <> 'cancelled')
            ON i.product_id = p.id
        GROUP BY p.id
        """
    )
    return {product_id: (stock, int(due)) for product_id, stock, due in rows}
