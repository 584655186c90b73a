"""SIGHUP: what can change at run time does, on real servers, and work goes on meanwhile."""

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg2
import pytest

from tests.acceptance.shop import Shop, order, product
from tests.conftest import StartDaemon
from tests.support.tcp_proxy import proxy_before
from tools.daemon import DaemonProcess
from tools.servers import Servers
from tools.waiting import wait_until

Reload = Callable[[DaemonProcess, str], dict[str, Any]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "orderd.toml"
    file.write_text("")
    return file


@pytest.fixture
def reload(file: Path) -> Reload:
    """Change the file, send SIGHUP, and return the line that says what came of it."""

    def reload(orderd: DaemonProcess, text: str) -> dict[str, Any]:
        file.write_text(text)
        mark = orderd.mark()
        orderd.send(signal.SIGHUP)
        return orderd.wait_for_event("config.reloaded", after=mark)

    return reload


@pytest.fixture
def started(daemon: StartDaemon, file: Path) -> Callable[..., DaemonProcess]:
    """Start a daemon with a file of these settings; the variables are those of the fixture."""

    def start(text: str = "", **settings: Any) -> DaemonProcess:
        file.write_text(text)
        return daemon(args=["--config", str(file)], **settings)

    return start


def test_the_log_level_changes(
    shop: Shop, started: Callable[..., DaemonProcess], reload: Reload
) -> None:
    orderd = started()
    shop.send_all([product(id="before")])
    shop.wait_for("before")

    told = reload(orderd, 'log_level = "debug"')
    shop.send_all([product(id="after")])
    orderd.wait_for_event("command.applied", id="after")

    assert told["message"] == "log_level: info → debug"
    assert orderd.events("command.applied", id="before") == []


def test_the_size_of_batches_changes(
    shop: Shop, admin_database_url: str, started: Callable[..., DaemonProcess], reload: Reload
) -> None:
    shop.open_with(stock=1_000)
    orderd = started("batch_max = 50")
    told = reload(orderd, "batch_max = 2")
    mark = orderd.mark()
    _let_orders_gather(shop, admin_database_url, orderd, count=21)

    sizes = [line["batch_size"] for line in orderd.events("batch.committed", after=mark)]
    assert told["message"] == "batch_max: 50 → 2"
    assert max(sizes) == 2


def test_the_prefetch_changes_on_the_connection_that_is_there(
    shop: Shop,
    servers: Servers,
    vhost: str,
    started: Callable[..., DaemonProcess],
    reload: Reload,
) -> None:
    orderd = started("prefetch = 7")
    mark = orderd.mark()
    _wait_for_prefetch(servers, vhost, 7)

    told = reload(orderd, "prefetch = 450")

    _wait_for_prefetch(servers, vhost, 450)
    assert told["message"] == "prefetch: 7 → 450"
    shop.send_all([product(id="after")])
    assert shop.wait_for("after") == {"after": "applied"}
    assert orderd.events("broker.disconnected", after=mark) == []
    assert _consumers(servers, vhost)[0] == ["order", "product", "user"]


def test_a_change_of_the_prefetch_under_load_loses_nothing_and_does_nothing_twice(
    shop: Shop, started: Callable[..., DaemonProcess], reload: Reload
) -> None:
    shop.open_with(stock=10_000)
    orderd = started("prefetch = 20\nbatch_max = 10")
    count = 0
    for prefetch in (21, 3, 100, 20):
        shop.send_all([order({1: 1}, id=f"order-{n}") for n in range(count, count + 200)])
        count += 200
        reload(orderd, f"prefetch = {prefetch}\nbatch_max = 10")

    shop.wait_for_rows(count, "processed_requests", timeout_s=60)
    wait_until(lambda: shop.waiting() == 0, timeout_s=10, what="empty queues")
    assert orderd.stop() == 0
    assert shop.value("SELECT count(*) FROM orders") == count
    assert shop.stock_mismatches() == []
    assert shop.waiting() == 0
    assert shop.ready("order.dlq") == 0
    assert orderd.events("broker.disconnected") == []


def test_new_retry_steps_are_there_before_they_are_used(
    shop: Shop, started: Callable[..., DaemonProcess], reload: Reload
) -> None:
    shop.open_with(stock=10)
    orderd = started('retry_delays = ["5min"]')

    told = reload(orderd, 'retry_delays = ["300ms", "1h"]')

    assert told["message"] == "retry_delays: 5min → 300ms, 1h"
    assert shop.ready("order.retry.300ms") == shop.ready("user.retry.1h") == 0
    shop.query("ALTER TABLE processed_requests ADD CHECK (id <> 'late')")
    shop.send_all([order({1: 1}, id="late")])
    # After the first step the second one: the number of attempts follows the steps.
    deferred = orderd.wait_for_event("command.deferred", attempt=1)
    assert "0.3 s" in deferred["message"]
    orderd.wait_for_event("command.deferred", attempt=2)
    wait_until(lambda: shop.ready("order.retry.1h") == 1, timeout_s=10, what="the retry")
    assert shop.ready("order.retry.5min") == 0


def test_retry_steps_that_cannot_be_used_leave_the_old_ones(
    shop: Shop, started: Callable[..., DaemonProcess], reload: Reload
) -> None:
    orderd = started('retry_delays = ["200ms"]')
    shop.channel.queue_declare("product.retry.7s", durable=True)

    told = reload(orderd, 'retry_delays = ["7s"]\nlog_level = "debug"')

    (rejected,) = orderd.events("config.rejected")
    assert "retry_delays" in rejected["message"]
    assert "product.retry.7s" in rejected["message"]
    assert told["message"] == "log_level: info → debug"
    shop.send_all([product(id="after")])
    assert shop.wait_for("after") == {"after": "applied"}
    # Nor are they tried when the connection is made anew.
    mark = orderd.mark()
    shop.channel.queue_delete("user")
    orderd.wait_for_event("queue.recovered", after=mark, timeout_s=20)
    assert orderd.stop() == 0


def test_a_file_that_is_wrong_keeps_the_old_settings_and_says_why(
    shop: Shop, file: Path, started: Callable[..., DaemonProcess], reload: Reload
) -> None:
    orderd = started('log_level = "info"')

    for text, reason in (("batch_max = ", "TOML"), ("batch_max = 0\nlog_levle = 1", "log_levle")):
        mark = orderd.mark()
        file.write_text(text)
        orderd.send(signal.SIGHUP)
        rejected = orderd.wait_for_event("config.rejected", after=mark)
        assert rejected["message"].startswith("reload rejected, the previous settings stay: ")
        assert reason in rejected["message"]

    assert reload(orderd, 'log_level = "info"')["message"] == "no setting has changed"
    shop.send_all([product(id="after")])
    assert shop.wait_for("after") == {"after": "applied"}


def test_what_needs_a_restart_is_named(
    started: Callable[..., DaemonProcess], reload: Reload
) -> None:
    orderd = started()

    told = reload(orderd, 'heartbeat = "30s"\nshutdown_timeout = "10s"')

    assert told["message"] == "shutdown_timeout: 30s → 10s; heartbeat needs a restart"


def test_a_token_is_exchanged_and_not_shown(
    shop: Shop, started: Callable[..., DaemonProcess], reload: Reload
) -> None:
    sha256 = "fece50d2287f7245aea5819b75f95ee8bec295a14f8ef1e7a31f17f1dae9df44"
    orderd = started()

    told = reload(orderd, f'[tokens.shop]\nsha256 = "{sha256}"\nallow = ["*"]')

    assert told["message"] == (
        "tokens: changed; authorization: none (every command is allowed) → tokens (1 token)"
    )
    assert shop.call("product", "list")["code"] == "unauthorized"
    assert shop.call("product", "list", auth="my-token")["status"] == "ok"
    assert sha256 not in json.dumps(orderd.log_lines)


def test_a_reload_does_not_wait_for_the_broker_but_new_steps_do(
    shop: Shop,
    vhost_url: str,
    started: Callable[..., DaemonProcess],
    reload: Reload,
) -> None:
    with proxy_before(vhost_url) as proxy:
        proxy.open()
        orderd = started(rabbitmq_url=proxy.url)
        proxy.shut()
        orderd.wait_for_event("intake.paused")

        told = reload(orderd, 'retry_delays = ["400ms"]\nbatch_max = 9')
        mark = orderd.mark()
        proxy.open()
        later = orderd.wait_for_event("config.reloaded", after=mark)

    assert (
        told["message"] == "batch_max: 200 → 9; retry_delays takes effect when the broker is back"
    )
    assert later["message"] == "retry_delays: 5s, 30s, 5min → 400ms"
    assert shop.ready("order.retry.400ms") == 0


def _let_orders_gather(
    shop: Shop, admin_database_url: str, orderd: DaemonProcess, *, count: int
) -> None:
    """Hold the first order up, so that the others are there when it is done."""
    holder = psycopg2.connect(admin_database_url)
    holder.cursor().execute("SELECT FROM products FOR UPDATE")
    shop.send_all([order({1: 1}, id="first")])
    wait_until(
        lambda: shop.value("SELECT count(*) FROM pg_locks WHERE NOT granted"),
        timeout_s=10,
        what="orderd waiting for the lock",
    )
    shop.send_all([order({1: 1}, id=f"order-{n}") for n in range(count - 1)])
    holder.close()
    shop.wait_for_rows(count, "processed_requests")
    # The line is written after the commit.
    wait_until(
        lambda: sum(line["batch_size"] for line in orderd.events("batch.committed")) >= count,
        timeout_s=10,
        what="all batches in the log",
    )


def _wait_for_prefetch(servers: Servers, vhost: str, wanted: int) -> None:
    wait_until(
        lambda: _consumers(servers, vhost)[1] == [wanted] * 3,
        timeout_s=30,
        what=f"three consumers with a prefetch of {wanted}",
        poll_s=0.5,
    )


def _consumers(servers: Servers, vhost: str) -> tuple[list[str], list[int]]:
    """Return queue and prefetch of every consumer, as the management API shows them."""
    management = servers.rabbit.require_management()
    found = management.request("GET", f"/api/consumers/{quote(vhost, safe='')}")
    rows = sorted((one["queue"]["name"], one["prefetch_count"]) for one in found)
    return [queue for queue, _ in rows], [prefetch for _, prefetch in rows]
