"""A broker that stands still, and goes on later: what is committed is acked, not done again."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from tests.acceptance.faults.test_refusals import unidentified
from tests.acceptance.shop import Shop
from tests.conftest import StartDaemon
from tools.rabbitmq import PrivateRabbit
from tools.waiting import wait_until

COUNT = 400
ORDERS = "SELECT count(*) FROM orders"


@contextmanager
def standing_still(rabbit: PrivateRabbit) -> Iterator[None]:
    """Have the whole node do nothing, its connections open."""
    assert rabbit.pid is not None
    os.killpg(rabbit.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(rabbit.pid, signal.SIGCONT)


def wait_for_more(shop: Shop) -> None:
    """Return once some more orders are there."""
    before = shop.value(ORDERS)
    wait_until(lambda: shop.value(ORDERS) > before, timeout_s=60, what="more orders")


def test_an_idle_daemon_asks_a_silent_broker_before_pika_gives_it_up(
    private_rabbit: PrivateRabbit, daemon: StartDaemon
) -> None:
    orderd = daemon(heartbeat="10s")
    before = orderd.mark()

    with standing_still(private_rabbit):
        line = orderd.wait_for_event("broker.disconnected", timeout_s=60)

    assert "no answer in 5 s" in line["message"]
    orderd.wait_ready(timeout_s=60, after=before)


def test_a_frozen_broker_repeats_nothing(
    shop: Shop, private_rabbit: PrivateRabbit, daemon: StartDaemon
) -> None:
    shop.open_with(stock=10_000)
    unidentified(shop, COUNT)
    orderd = daemon(batch_max=10, heartbeat="10s")

    wait_for_more(shop)
    with standing_still(private_rabbit):
        orderd.wait_for_event("broker.disconnected", timeout_s=60)

    wait_until(lambda: shop.value(ORDERS) >= COUNT, timeout_s=90, what="all orders")
    assert orderd.stop() == 0
    assert shop.value(ORDERS) == COUNT
