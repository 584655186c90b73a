"""Stopping: a drain loses nothing and does nothing twice, and a second signal ends it at once."""

import signal

import psycopg2
import pytest

from tests.acceptance.shop import Shop, order
from tests.conftest import StartDaemon
from tools.waiting import wait_until

COUNT = 1_500
# A drain that ends at all has ended for another reason than its time-out.
NEVER_S = 3_600


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_drain_under_load_exits_0_and_loses_nothing(
    shop: Shop, daemon: StartDaemon, signum: signal.Signals
) -> None:
    shop.open_with(stock=10_000, products=3)
    shop.send_all([order({n % 3 + 1: 1}, id=f"order-{n}") for n in range(COUNT)])
    first = daemon(batch_max=10)
    first.wait_for_event("batch.committed")

    first.send(signum)

    assert first.exit_code(timeout_s=15) == 0
    done = shop.value("SELECT count(*) FROM processed_requests")
    assert done > 0
    # What was in hand was finished and acked, the rest is with the broker again.
    wait_until(lambda: shop.ready("order") == COUNT - done, timeout_s=5, what="the rest in queue")
    assert shop.value("SELECT count(*) FROM outbox") == 0
    (draining,) = first.events("daemon.draining")
    assert signum.name in draining["message"]
    second = daemon()
    shop.wait_for_rows(COUNT, "processed_requests", timeout_s=60)
    assert second.stop() == 0
    assert shop.value("SELECT count(*) FROM orders") == COUNT
    assert shop.stock_mismatches() == []
    assert shop.ready("order.dlq") == 0
    assert second.events("command.deferred") == []


def test_a_second_signal_gives_up_at_once_and_loses_nothing(
    shop: Shop, admin_database_url: str, daemon: StartDaemon
) -> None:
    shop.open_with(stock=10)
    orderd = daemon(shutdown_timeout=NEVER_S)
    holder = psycopg2.connect(admin_database_url)
    holder.cursor().execute("SELECT FROM products FOR UPDATE")
    shop.send_all([order({1: 1}, id="held-up")])
    wait_until(lambda: _waits_for_a_lock(shop), timeout_s=10, what="orderd waiting for the lock")

    orderd.terminate()
    orderd.terminate()

    assert orderd.exit_code() == 0
    wait_until(lambda: shop.ready("order") == 1, timeout_s=5, what="the order back in its queue")
    holder.close()
    daemon()
    assert shop.wait_for("held-up") == {"held-up": "applied"}
    assert shop.ready("order.dlq") == 0


def test_a_drain_ends_within_its_timeout(
    shop: Shop, admin_database_url: str, daemon: StartDaemon
) -> None:
    shop.open_with(stock=10)
    orderd = daemon(shutdown_timeout=1, retry_delays="200ms")
    holder = psycopg2.connect(admin_database_url)
    holder.cursor().execute("SELECT FROM products FOR UPDATE")
    shop.send_all([order({1: 1}, id="held-up")])
    wait_until(lambda: _waits_for_a_lock(shop), timeout_s=10, what="orderd waiting for the lock")

    orderd.terminate()

    # The lock is held on: nothing but the time-out ends this drain.
    assert orderd.exit_code() == 0
    holder.close()
    daemon(retry_delays="200ms")
    assert shop.wait_for("held-up") == {"held-up": "applied"}


def test_an_idle_daemon_stops_promptly(shop: Shop, daemon: StartDaemon) -> None:
    orderd = daemon(shutdown_timeout=NEVER_S)
    assert shop.call("product", "health_check")["data"]["status"] == "ok"

    orderd.terminate()

    assert orderd.exit_code() == 0
    assert [line["event"] for line in orderd.log_lines][-1] == "daemon.stopped"


def _waits_for_a_lock(shop: Shop) -> bool:
    waiting = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    return bool(shop.value(waiting))
