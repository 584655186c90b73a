"""An order is not refused while what it refers to is in the daemon's own hand."""

import signal
from contextlib import closing
from typing import Any

import psycopg2
import pytest

from tests.acceptance.shop import Message, Shop, order, product, user
from tests.conftest import StartDaemon
from tools.waiting import wait_until


def crash_twice_and_hold(shop: Shop, daemon: StartDaemon, message: Message, name: str) -> Any:
    """Let two daemons die of the message; return its tag, held by the test from then on.

    Whoever has it next finds it suspect, and tries it alone.
    """
    shop.send_all([message])
    for _ in range(2):
        assert daemon(ready=False, failpoint=f"decoded@{name}").exit_code() == -signal.SIGKILL

    def take() -> Any:
        method, *_ = shop.channel.basic_get(message.queue)
        return method

    return wait_until(take, timeout_s=20, what=f"{name} given back").delivery_tag


def give_back(shop: Shop, queue: str, tag: int) -> None:
    """Let the daemon have a message; return when it has been delivered to it."""
    shop.channel.basic_nack(tag, requeue=True)
    wait_until(lambda: shop.ready(queue) == 0, timeout_s=20, what=f"delivery from {queue}")


@pytest.mark.parametrize("brings", ["user", "product"])
def test_suspects_that_refer_to_each_other_are_both_applied(
    shop: Shop, admin_database_url: str, daemon: StartDaemon, brings: str
) -> None:
    daemon().stop()  # which leaves the queues behind
    if brings == "user":
        shop.open_with(users=0, stock=10)
        needed = user("ann", id="needed")
    else:
        shop.open_with(users=1)
        needed = product(stock=10, id="needed")
    tags = {
        "order": crash_twice_and_hold(shop, daemon, order({1: 1}, id="early"), "early"),
        brings: crash_twice_and_hold(shop, daemon, needed, "needed"),
    }
    orderd = daemon(retry_delays="100ms,500ms,1s,2s")
    # The order is looked at first, and what it needs is delivered before that is over.
    with closing(psycopg2.connect(admin_database_url)) as holder:
        holder.cursor().execute("LOCK TABLE processed_requests")
        give_back(shop, "order", tags["order"])
        waiting = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"
        wait_until(lambda: shop.value(waiting), timeout_s=20, what="a wait for the lock")
        give_back(shop, brings, tags[brings])

    assert shop.wait_for("early", "needed") == {"early": "applied", "needed": "applied"}
    assert orderd.events("command.deferred", id="early", code="missing_reference")


def test_an_order_waits_while_its_user_waits_for_another_try(
    shop: Shop, daemon: StartDaemon, admin_database_url: str
) -> None:
    shop.open_with(users=0, stock=10)
    orderd = daemon(retry_delays="200ms,500ms,1s,2s,4s,8s")
    with closing(psycopg2.connect(admin_database_url)) as session:
        # Rows may be read and referred to, but not written.
        session.cursor().execute("LOCK TABLE users IN SHARE MODE")
        shop.send_all([user("ann", id="needed"), order({1: 1}, id="early")])
        orderd.wait_for_event("command.deferred", id="needed", code="transient")
        for attempt in (1, 2):
            orderd.wait_for_event(
                "command.deferred", id="early", code="missing_reference", attempt=attempt
            )

    assert shop.wait_for("early", "needed") == {"early": "applied", "needed": "applied"}
