"""Queues that refuse what must go there, and listeners that refuse events: only theirs waits."""

import json
from collections import Counter
from typing import Any

import pytest

from tests.acceptance.shop import EVENTS_EXCHANGE, HEARD, Message, Shop, command, order
from tests.conftest import StartDaemon
from tools.daemon import DaemonProcess
from tools.rabbitmq import PrivateRabbit
from tools.waiting import wait_until

NEIGHBOURS = 20
# The retry queue of an earlier version: a quorum queue takes one message more than its limit.
CLASSIC = {
    "x-message-ttl": 500,
    "x-dead-letter-exchange": "",
    "x-dead-letter-routing-key": "order",
    "x-queue-type": "classic",
}
REFUSING = {"max-length": 0, "overflow": "reject-publish"}


def refuse(rabbit: PrivateRabbit, vhost: str, queue: str, **more: Any) -> None:
    """Have the queue refuse all that is published to it."""
    policy = json.dumps(REFUSING | more)
    pattern = f"^{queue.replace('.', '[.]')}$"
    rabbit.ctl("set_policy", "-p", vhost, "refuse", pattern, policy, "--apply-to", "queues")
    wait_until(
        lambda: queue in rabbit.ctl("list_queues", "-p", vhost, "name", "policy"),
        timeout_s=20,
        what="the policy",
    )


def unidentified(shop: Shop, count: int) -> None:
    """Send orders without an id: done once a delivery, so a redelivery shows."""
    content = {"user_id": 1, "items": [{"product_id": 1, "quantity": 1}]}
    shop.send_all([command("order", "create", content) for _ in range(count)])


def open_of_old(shop: Shop) -> None:
    """Have something to order, and a retry queue of an earlier version."""
    shop.open_with(stock=1000)
    shop.channel.queue_declare("order.retry.500ms", durable=True, arguments=CLASSIC)


def malformed() -> Message:
    message = command("order", "create")
    return Message("order", b"{", message.properties)


def assert_held(orderd: DaemonProcess, queue: str) -> None:
    held = orderd.wait_for_event("message.held_back")
    assert queue in held["message"]
    assert held["level"] == "WARNING"
    assert not orderd.events("message.dead_lettered")
    assert not orderd.events("command.deferred")
    assert not orderd.events("broker.disconnected")


@pytest.mark.parametrize("kind", ["dead letter", "retry"])
def test_a_refused_copy_waits_alone_and_its_neighbours_are_done_once(
    shop: Shop, daemon: StartDaemon, private_rabbit: PrivateRabbit, vhost: str, kind: str
) -> None:
    queue = "order.dlq" if kind == "dead letter" else "order.retry.500ms"
    open_of_old(shop)
    daemon(retry_delays="500ms,1s").stop()  # which leaves the queues behind
    refuse(private_rabbit, vhost, queue)
    # Orders may be deferred while the queue of users has something ready, or is consumed by others.
    culprit = malformed() if kind == "dead letter" else order({1: 1}, user_id=77, id="early")
    if kind == "retry":
        shop.channel.basic_consume("user", lambda *_: None)
    unidentified(shop, NEIGHBOURS // 2)
    shop.send_all([culprit])
    unidentified(shop, NEIGHBOURS // 2)

    orderd = daemon(retry_delays="500ms,1s")

    shop.wait_for_rows(NEIGHBOURS, "orders")
    assert_held(orderd, queue)
    unidentified(shop, 5)
    shop.wait_for_rows(NEIGHBOURS + 5, "orders")
    assert shop.ready("order") == 0
    if kind == "retry":
        shop.channel.cancel()
        return
    private_rabbit.ctl("clear_policy", "-p", vhost, "refuse")
    (letter,) = shop.take("order.dlq")
    assert (letter.body, letter.headers["orderd-code"]) == (b"{", "malformed")
    orderd.wait_for_event("message.dead_lettered")
    replies = [reply.json for reply in shop.take("replies", NEIGHBOURS + 6)]
    assert Counter(reply["status"] for reply in replies) == {"ok": NEIGHBOURS + 5, "error": 1}
    assert shop.value("SELECT count(*) FROM orders") == NEIGHBOURS + 5


def test_a_dead_letter_queue_that_is_gone_is_declared_again(
    shop: Shop, daemon: StartDaemon
) -> None:
    shop.open_with(stock=1000)
    orderd = daemon()
    shop.channel.queue_delete("order.dlq")

    shop.send_all([malformed()])
    unidentified(shop, 3)

    orderd.wait_for_event("message.held_back")
    orderd.wait_for_event("message.dead_lettered")
    assert len(shop.take("order.dlq")) == 1
    shop.wait_for_rows(3, "orders")
    assert not orderd.events("broker.disconnected")


def test_what_is_held_at_a_stop_is_taken_up_by_the_next_daemon(
    shop: Shop, daemon: StartDaemon, private_rabbit: PrivateRabbit, vhost: str
) -> None:
    daemon().stop()
    refuse(private_rabbit, vhost, "order.dlq")
    shop.send_all([malformed()])
    first = daemon()
    first.wait_for_event("message.held_back")

    assert first.stop() == 0

    private_rabbit.ctl("clear_policy", "-p", vhost, "refuse")
    daemon()
    assert len(shop.take("order.dlq")) == 1
    assert shop.query("SELECT key FROM message_tries WHERE tries > 1") == []


def test_a_listener_that_refuses_does_not_flood_the_others(
    shop: Shop, daemon: StartDaemon, private_rabbit: PrivateRabbit, vhost: str
) -> None:
    shop.open_with(stock=1000)
    shop.channel.queue_declare("full", durable=True)
    shop.channel.queue_bind("full", EVENTS_EXCHANGE, "order.#")
    refuse(private_rabbit, vhost, "full")
    orderd = daemon(outbox_grace=0.1)

    unidentified(shop, 10)

    refused = orderd.wait_for_event("outbox.refused")
    assert "orderd.events" in refused["message"]

    def all_twice_refused() -> bool:
        return bool(shop.value("SELECT count(*) = 10 AND min(refusals) >= 2 FROM outbox"))

    wait_until(all_twice_refused, timeout_s=30, what="two refusals of each event")
    heard = Counter(
        each.properties.message_id
        for each in shop.take_all(HEARD)
        if each.routing_key == "order.created"
    )
    assert len(heard) == 10

    def each_is_a_refusal() -> bool:
        # One that was heard may still be on its way to its record.
        return max(heard.values()) <= shop.value("SELECT max(refusals) FROM outbox")

    wait_until(each_is_a_refusal, timeout_s=30, what="a refusal for each time that it was heard")
    assert shop.value("SELECT min(not_before - now()) > '5 s' FROM outbox")
    assert shop.value("SELECT DISTINCT refused_because FROM outbox") == "nacked"
    assert shop.ready("order") == 0
    private_rabbit.ctl("clear_policy", "-p", vhost, "refuse")
    shop.query("UPDATE outbox SET not_before = '-infinity'")
    wait_until(lambda: shop.ready("full") == 10, timeout_s=20, what="the events in the queue")


def test_an_event_that_amqp_cannot_carry_is_set_aside(shop: Shop, daemon: StartDaemon) -> None:
    shop.query(
        "INSERT INTO outbox (message_id, type, body, claimed_at) VALUES "
        "(gen_random_uuid(), 'order.early', '{}', '-infinity'), "
        "(gen_random_uuid(), %s, '{}', '-infinity'), "
        "(gen_random_uuid(), 'order.late', '{}', '-infinity')",
        "x" * 300,
    )

    orderd = daemon()

    told = orderd.wait_for_event("outbox.set_aside")
    assert told["level"] == "ERROR"
    assert "routing_key" in told["message"]
    heard = [each.routing_key for each in shop.take(HEARD, 3)]
    assert [key for key in heard if key.startswith("order.")] == ["order.early", "order.late"]
    wait_until(
        lambda: (
            shop.query("SELECT length(type), not_before::text FROM outbox") == [(300, "infinity")]
        ),
        timeout_s=20,
        what="the others to be deleted",
    )
    assert orderd.stop() == 0
    second = daemon()
    shop.send_all([command("user", "create", {"username": "x", "email": "x@example.com"}, id="u")])
    shop.wait_for("u")
    assert not second.events("outbox.set_aside")
