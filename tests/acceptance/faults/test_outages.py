"""Servers that go away while the daemon runs: nothing is lost or charged, and work goes on."""

from contextlib import closing

import pytest

from tests.acceptance.shop import Shop, order, product
from tests.conftest import StartDaemon
from tests.support.tcp_proxy import TcpProxy, proxy_before
from tools.daemon import DaemonProcess
from tools.postgresql import PrivatePostgres
from tools.rabbitmq import PrivateRabbit
from tools.waiting import wait_until

COUNT = 600


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_work_goes_on_after_a_restart_of_postgresql(
    shop: Shop, private_postgres: PrivatePostgres, daemon: StartDaemon, mode: str
) -> None:
    shop.open_with(stock=10_000)
    shop.send_all([order({1: 1}, id=f"before-{n}") for n in range(COUNT)])
    orderd = daemon(batch_max=10)
    orderd.wait_for_event("batch.committed")

    private_postgres.stop(mode)
    orderd.wait_for_event("intake.paused")
    shop.send_all([order({1: 1}, id=f"during-{n}") for n in range(20)])
    private_postgres.start()

    orderd.wait_for_event("intake.resumed")
    shop.wait_for_rows(COUNT + 20, "processed_requests", timeout_s=60)
    _assert_uncharged(shop, orderd, COUNT + 20)


def test_work_goes_on_after_a_restart_of_rabbitmq(
    shop: Shop,
    admin_vhost_url: str,
    admin_database_url: str,
    private_rabbit: PrivateRabbit,
    daemon: StartDaemon,
) -> None:
    shop.open_with(stock=10_000)
    shop.send_all([order({1: 1}, id=f"before-{n}") for n in range(COUNT)])
    orderd = daemon(batch_max=10)
    orderd.wait_for_event("batch.committed")

    private_rabbit.kill()
    orderd.wait_for_event("intake.paused")
    private_rabbit.start()

    orderd.wait_for_event("intake.resumed")
    with closing(Shop(admin_vhost_url, admin_database_url)) as shop_again:
        shop_again.send_all([order({1: 1}, id="after")])
        shop_again.wait_for_rows(COUNT + 1, "processed_requests", timeout_s=60)
        _assert_uncharged(shop_again, orderd, COUNT + 1)


def test_a_queue_that_was_deleted_is_there_again_and_consumed(
    shop: Shop, daemon: StartDaemon
) -> None:
    orderd = daemon()

    shop.channel.queue_delete("product")
    orderd.wait_for_event("queue.recovered", queue="product", timeout_s=20)
    shop.send_all([product(id="after")])

    assert shop.wait_for("after") == {"after": "applied"}
    (failing,) = orderd.events("queue.failing")
    assert (failing["queue"], "cancelled" in failing["message"]) == ("product", True)
    assert orderd.events("broker.disconnected") == []


def test_connections_closed_by_the_broker_are_opened_again(
    private_rabbit: PrivateRabbit, vhost: str, daemon: StartDaemon
) -> None:
    orderd = daemon()
    mark = orderd.mark()

    private_rabbit.ctl("close_all_connections", "--vhost", vhost, "test")

    orderd.wait_ready(after=mark, timeout_s=10)
    (lost,) = orderd.events("broker.disconnected")
    assert "test" in lost["message"]


@pytest.mark.parametrize("server", ["broker", "database"])
def test_a_wire_that_is_cut_again_and_again_under_load_costs_nothing(
    shop: Shop, database_url: str, vhost_url: str, daemon: StartDaemon, server: str
) -> None:
    shop.open_with(stock=10_000)
    urls = {"database": database_url, "broker": vhost_url}
    with proxy_before(urls[server]) as proxy:
        proxy.open()
        urls[server] = proxy.url
        orderd = daemon(batch_max=10, database_url=urls["database"], rabbitmq_url=urls["broker"])
        shop.send_all([order({1: 1}, id=f"order-{n}") for n in range(COUNT)])
        for _ in range(3):
            _cut(proxy, orderd)

        shop.wait_for_rows(COUNT, "processed_requests", timeout_s=60)

        _assert_uncharged(shop, orderd, COUNT)


def _cut(proxy: TcpProxy, orderd: DaemonProcess) -> None:
    """Cut the connection during work, and let it be opened again."""
    mark = orderd.mark()
    orderd.wait_for_event("batch.committed", after=mark)
    proxy.shut()
    proxy.open()
    orderd.wait_for_event("intake.resumed", after=mark, timeout_s=10)


def _assert_uncharged(shop: Shop, orderd: DaemonProcess, count: int) -> None:
    """Everything once; no attempt spent, no dead letter; the daemon is the same as before."""
    wait_until(lambda: shop.waiting() == 0, timeout_s=10, what="empty queues")
    assert set(shop.outcomes().values()) == {"applied"}
    assert shop.value("SELECT count(*) FROM processed_requests") == count
    assert shop.stock_mismatches() == []
    assert shop.ready("order.dlq") == 0
    assert orderd.events("command.deferred") == []
    # What a cut left unconfirmed is sent again once its lease is old.
    shop.wait_for_rows(0, "outbox", timeout_s=20)
    assert orderd.stop() == 0
