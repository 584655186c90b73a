"""Kill -9 at each point of the daemon's way: after a restart, everything once, nothing missing."""

import signal
from collections import defaultdict

import pytest

from tests.acceptance.shop import (
    HEARD,
    REPLIES,
    Message,
    Received,
    Shop,
    command,
    order,
    product,
    user,
)
from tests.conftest import StartDaemon
from tools.waiting import wait_until

GRACE_S = 0.3
NOTHING = Message("order", b"this is no command", command("order", "none").properties)
UPDATE = {
    "order_id": 1,
    "items": [{"product_id": 1, "quantity": 4}],
    "status": "processing",
    "if_revision": 1,
}
MESSAGES = [
    user("bob", id="user"),
    product(stock=5, id="product"),
    order({1: 3}, id="order"),
    order({1: 3}, id="order"),
    command("order", "update", UPDATE, id="update"),
    order({1: 100}, id="refused"),
    NOTHING,
]
# What the daemon reaches with these messages in one batch.
ON_THE_WAY = [
    "received",
    "decoded",
    "tx_begun",
    "loaded",
    "decided",
    "persisted",
    "before_commit",
    "after_commit",
    "events_published",
    "replies_published",
    "dlq_published",
    "events_confirmed",
    "before_ack",
    "after_ack",
]
OUTCOMES = {
    "user": "applied",
    "product": "applied",
    "order": "applied",
    "update": "applied",
    "refused": "insufficient_stock",
}
# Of each event the sequence: an update of items and status makes two revisions.
EVENTS = {
    "user.created": "1",
    "product.created": "1",
    "order.created": "1",
    "order.updated": "2",
    "order.processing": "3",
    "order.refused": None,
}


@pytest.mark.parametrize(
    ("point", "batch_max"),
    [*((point, 200) for point in ON_THE_WAY), ("after_commit:3", 1), ("before_ack:3", 1)],
)
def test_a_kill_on_the_way_costs_no_effect_reply_or_event(
    shop: Shop, daemon: StartDaemon, point: str, batch_max: int
) -> None:
    _open(shop)
    shop.send_all(MESSAGES)
    crashing = daemon(ready=False, batch_max=batch_max, failpoint=point)
    assert crashing.exit_code() == -signal.SIGKILL

    survivor = daemon(batch_max=batch_max, outbox_grace=GRACE_S)

    _assert_everything_happened_once(shop)
    assert survivor.stop() == 0
    assert shop.waiting() == 0


@pytest.mark.parametrize("point", ["outbox_claimed", "outbox_marked"])
def test_a_kill_while_left_events_are_published_costs_no_event(
    shop: Shop, daemon: StartDaemon, point: str
) -> None:
    _open(shop)
    shop.send_all(MESSAGES)
    assert daemon(ready=False, failpoint="after_commit").exit_code() == -signal.SIGKILL
    crashing = daemon(ready=False, failpoint=point, outbox_grace=GRACE_S)
    assert crashing.exit_code() == -signal.SIGKILL

    daemon(outbox_grace=GRACE_S)

    _assert_everything_happened_once(shop)


def test_a_kill_at_the_beginning_of_a_drain_costs_nothing(shop: Shop, daemon: StartDaemon) -> None:
    _open(shop)
    crashing = daemon(failpoint="drain_started")
    shop.send_all(MESSAGES)
    crashing.terminate()
    assert crashing.exit_code() == -signal.SIGKILL

    daemon(outbox_grace=GRACE_S)

    _assert_everything_happened_once(shop)


def test_a_kill_after_a_retry_was_published_does_not_apply_its_command_twice(
    shop: Shop, daemon: StartDaemon
) -> None:
    shop.open_with()
    # Another consumer of the product queue: what is missing may still come.
    elsewhere = shop.channel.basic_consume("product", lambda *_: None)
    crashing = daemon(failpoint="retry_published", retry_delays="200ms,400ms,30s")
    shop.send_all([order({1: 3}, id="order")])
    assert crashing.exit_code() == -signal.SIGKILL

    survivor = daemon(retry_delays="200ms,400ms,30s")
    survivor.wait_for_event("command.deferred", id="order")
    shop.channel.basic_cancel(elsewhere)
    shop.send_all([product(stock=10, id="product")])

    shop.wait_for("order")
    wait_until(lambda: shop.take_all(REPLIES), timeout_s=5, what="a reply")
    assert shop.query("SELECT stock_quantity FROM products") == [(7,)]
    assert survivor.stop() == 0
    assert shop.query("SELECT stock_quantity FROM products") == [(7,)]


def test_an_event_left_by_a_crash_is_published_within_its_grace(
    shop: Shop, daemon: StartDaemon
) -> None:
    shop.send_all([product(id="product")])
    assert daemon(ready=False, failpoint="after_commit").exit_code() == -signal.SIGKILL
    (message_id,) = shop.query("SELECT message_id::text FROM outbox")

    survivor = daemon(outbox_grace=GRACE_S)

    heard = shop.take(HEARD, 3, timeout_s=5)
    created = [one for one in heard if one.routing_key == "product.created"]
    assert [one.properties.message_id for one in created] == list(message_id)
    survivor.wait_for_event("outbox.recovered")
    shop.wait_for_rows(0, "outbox")


def _open(shop: Shop) -> None:
    """Open the shop with one order, of one piece."""
    shop.open_with(stock=10)
    shop.query("INSERT INTO orders (user_id, status, total_amount) VALUES (1, 'pending', 10)")
    shop.query(
        "INSERT INTO order_items (order_id, product_id, quantity, unit_price) VALUES (1, 1, 1, 10)"
    )


def _assert_everything_happened_once(shop: Shop) -> None:
    assert shop.wait_for(*OUTCOMES) == OUTCOMES
    shop.wait_for_rows(0, "outbox")
    stocks = shop.query("SELECT stock_quantity, revision FROM products ORDER BY id")
    assert stocks == [(4, 3), (5, 1)]
    assert shop.value("SELECT count(*) FROM users") == 2
    orders = shop.query("SELECT status, total_amount, revision FROM orders ORDER BY id")
    assert orders == [("processing", 40, 3), ("pending", 30, 1)]
    letters = shop.take("order.dlq")
    # At least once: a kill between its publishing and the ack makes a copy.
    assert {letter.body for letter in letters} == {NOTHING.body}
    assert len(letters) <= 2
    _assert_answered(shop)
    _assert_heard(shop)


def _assert_answered(shop: Shop) -> None:
    replies: list[Received] = []

    def all_answered() -> bool:
        replies.extend(shop.take_all(REPLIES))
        return {*OUTCOMES, None} <= {reply.json["correlation_id"] for reply in replies}

    wait_until(all_answered, timeout_s=10, what="a reply to each request")
    bodies = defaultdict(set)
    for reply in replies:
        bodies[reply.json["correlation_id"]].add(reply.body)
    assert {
        request_id: len(different) for request_id, different in bodies.items()
    } == dict.fromkeys(bodies, 1)


def _assert_heard(shop: Shop) -> None:
    heard = [one for one in shop.take_all(HEARD) if not one.routing_key.startswith("system.")]
    ids = defaultdict(set)
    for one in heard:
        ids[one.routing_key].add((one.properties.message_id, one.body))
    assert {one.routing_key: one.json.get("sequence") for one in heard} == EVENTS
    # Copies are allowed, and each has the same id and content.
    assert {key: len(different) for key, different in ids.items()} == dict.fromkeys(EVENTS, 1)
