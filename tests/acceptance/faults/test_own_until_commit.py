"""Deliveries that are the broker's again by the time of COMMIT: the transaction is rolled back."""

import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg2
import pytest

from tests.acceptance.shop import Message, Shop, command
from tests.conftest import StartDaemon
from tools.daemon import DaemonProcess
from tools.rabbitmq import PrivateRabbit
from tools.waiting import wait_until

COUNT = 50
HEARTBEAT_S = 10
WAITING = (
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


def creations() -> list[Message]:
    """Commands without an id: nobody would know them again."""
    content = {"name": "chair", "price": "10.00", "stock_quantity": 1}
    return [command("product", "create", content, reply_to=None) for _ in range(COUNT)]


@contextmanager
def frozen_at(point: str, shop: Shop, daemon: StartDaemon) -> Iterator[DaemonProcess]:
    """Give a daemon that stands still at that point of its transaction, with all commands."""
    shop.send_all(creations())
    one = daemon(ready=False, failpoint=f"stop:{point}", heartbeat=f"{HEARTBEAT_S}s")
    wait_until(lambda: one.is_frozen, timeout_s=20, what=f"orderd frozen at {point}")
    yield one
    mark = one.mark()
    one.send(signal.SIGCONT)
    one.wait_for_event("broker.disconnected", after=mark)
    one.wait_for_event("broker.connected", after=mark)


@pytest.mark.parametrize("point", ["tx_begun", "loaded", "decided", "persisted"])
def test_a_frozen_daemon_that_was_hung_up_on_does_not_commit(
    shop: Shop,
    vhost: str,
    private_rabbit: PrivateRabbit,
    daemon: StartDaemon,
    point: str,
) -> None:
    with frozen_at(point, shop, daemon) as frozen:
        private_rabbit.ctl("close_all_connections", "--vhost", vhost, "no heartbeat")
        other = daemon()
        shop.wait_for_rows(COUNT, "products")

    assert [frozen.stop(), other.stop()] == [0, 0]
    assert shop.value("SELECT count(*) FROM products") == COUNT


def test_a_daemon_frozen_for_longer_than_the_heartbeat_does_not_commit(
    shop: Shop, daemon: StartDaemon
) -> None:
    with frozen_at("persisted", shop, daemon) as frozen:
        other = daemon()
        # Once the broker gives it up, by itself.
        shop.wait_for_rows(COUNT, "products", timeout_s=4 * HEARTBEAT_S)

    assert [frozen.stop(), other.stop()] == [0, 0]
    assert shop.value("SELECT count(*) FROM products") == COUNT


def test_a_daemon_cut_off_while_it_waits_for_a_lock_does_not_commit(
    shop: Shop,
    admin_database_url: str,
    vhost: str,
    private_rabbit: PrivateRabbit,
    daemon: StartDaemon,
) -> None:
    shop.open_with(stock=1_000)
    orderd = daemon()
    content = {"user_id": 1, "items": [{"product_id": 1, "quantity": 1}]}
    with closing(psycopg2.connect(admin_database_url)) as holder:
        holder.cursor().execute("SELECT FROM products FOR UPDATE")
        shop.send_all([command("order", "create", content, reply_to=None) for _ in range(COUNT)])
        wait_until(lambda: shop.value(WAITING), timeout_s=20, what="orderd at the lock")
        private_rabbit.ctl("close_all_connections", "--vhost", vhost, "cut off")
    orderd.wait_for_event("broker.disconnected")

    with closing(Shop(private_rabbit.url(vhost), admin_database_url)) as again:
        again.wait_for_rows(COUNT, "orders")
        wait_until(lambda: again.waiting() == 0, timeout_s=20, what="empty queues")
        assert orderd.stop() == 0
        assert again.value("SELECT count(*) FROM orders") == COUNT
        assert again.stock_mismatches() == []
