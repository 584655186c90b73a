"""`consume = "exclusive"`: one daemon takes from a queue, the others take over, in order."""

import signal
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.acceptance.shop import HEARD, Message, Shop, command
from tests.conftest import StartDaemonOn
from tests.support.queue_kinds import KINDS
from tests.support.versions import Broker
from tools.daemon import DaemonProcess
from tools.waiting import wait_until

ORDERS = 60
STEPS = ("processing", "shipped", "delivered")
# Each daemon ends in the middle of what there is to do, however fast it is.
SETTINGS: dict[str, Any] = {
    "consume": "exclusive",
    "batch_max": 5,
    "prefetch": 20,
    "outbox_grace": 0.5,
}


@pytest.fixture
def open_shop(broker: Broker, admin_database_url: str) -> Iterator[Shop]:
    """A shop with sixty orders that are pending."""
    shop = Shop(broker.admin_url, admin_database_url)
    shop.open_with(stock=100)
    shop.query(
        "INSERT INTO orders (user_id, status, total_amount) "
        "SELECT 1, 'pending', 0 FROM generate_series(1, %s)",
        ORDERS,
    )
    shop.listen()
    with closing(shop):
        yield shop


def as_queue(shop: Shop, kind: str) -> None:
    shop.channel.queue_delete("order")
    shop.channel.queue_declare("order", durable=True, arguments=KINDS[kind])


def steps() -> list[Message]:
    """Return each order's way, one order after the other."""
    return [
        command(
            "order",
            "update_status",
            {"order_id": order_id, "status": status},
            id=f"{status}-{order_id}",
        )
        for order_id in range(1, ORDERS + 1)
        for status in STEPS
    ]


def stand_by(one: DaemonProcess) -> None:
    one.wait_for_event("consumer.standby")
    assert not one.events("consumer.started")


def assert_each_step_once(shop: Shop) -> None:
    wanted = {f"{status}-{number + 1}" for status in STEPS for number in range(ORDERS)}
    outcomes = shop.wait_for(*wanted, timeout_s=40)
    assert set(outcomes.values()) == {"applied"}
    rows = shop.query("SELECT status, revision, count(*) FROM orders GROUP BY 1, 2")
    assert rows == [("delivered", 1 + len(STEPS), ORDERS)]
    assert [shop.ready(f"order.{queue}") for queue in ("dlq", "retry.5s")] == [0, 0]
    told: dict[str, set[str]] = {}

    def all_told() -> bool:
        for event in shop.take_all(HEARD):
            if event.routing_key.startswith("order."):
                # A copy of an event has the same id.
                told[event.properties.message_id] = {event.routing_key, event.json["subject"]}
        return len(told) >= len(STEPS) * ORDERS

    wait_until(all_told, timeout_s=20, what="an event of each step")
    assert len(told) == len(set(map(frozenset, told.values()))) == len(STEPS) * ORDERS


@pytest.mark.parametrize("kind", KINDS)
def test_the_next_one_goes_on_in_order_when_the_active_one_is_killed(
    broker: Broker, open_shop: Shop, daemon_on: StartDaemonOn, kind: str
) -> None:
    as_queue(open_shop, kind)
    active = daemon_on(broker.url, failpoint="after_commit:6", **SETTINGS)
    next_one = daemon_on(broker.url, ready=False, **SETTINGS)
    stand_by(next_one)

    open_shop.send_all(steps())
    assert active.exit_code() == -signal.SIGKILL
    next_one.wait_for_event("consumer.took_over")

    assert_each_step_once(open_shop)
    assert next_one.stop() == 0


@pytest.mark.parametrize("kind", ["classic", "quorum"])
def test_a_clean_stop_hands_over_in_order(
    broker: Broker, open_shop: Shop, daemon_on: StartDaemonOn, kind: str
) -> None:
    as_queue(open_shop, kind)
    active = daemon_on(broker.url, **SETTINGS)
    rest = [daemon_on(broker.url, ready=False, **SETTINGS) for _ in range(2)]
    for one in rest:
        stand_by(one)

    open_shop.send_all(steps())
    active.wait_for_event("batch.committed")
    assert active.stop() == 0

    assert_each_step_once(open_shop)
    assert [one.stop() for one in rest] == [0, 0]
    assert sum(bool(one.events("batch.committed")) for one in rest) == 1
