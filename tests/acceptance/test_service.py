"""What the service manager is told, over a real socket, from the start to the end of a daemon."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import psycopg2
import pytest

from tests.acceptance.service_manager import ServiceManager
from tests.acceptance.shop import Shop, order, product
from tests.support.tcp_proxy import proxy_before
from tools.daemon import DaemonProcess
from tools.waiting import wait_until

# Pings every second then; three times that is when systemd would kill.
WATCHDOG_S = 3.0

Start = Callable[..., DaemonProcess]


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[ServiceManager]:
    manager = ServiceManager(tmp_path / "notify")
    yield manager
    manager.close()


@pytest.fixture
def start(
    manager: ServiceManager, database_url: str, vhost_url: str, tmp_path: Path
) -> Iterator[Start]:
    """Start a daemon as the service manager would; the environment may say otherwise."""
    with ExitStack() as stack:

        def start(*, ready: bool = True, **env: str) -> DaemonProcess:
            given = {
                "ORDERD_DATABASE_URL": database_url,
                "ORDERD_RABBITMQ_URL": vhost_url,
                "NOTIFY_SOCKET": str(manager.path),
                "WATCHDOG_USEC": str(round(WATCHDOG_S * 1_000_000)),
                "ORDERD_HEALTH_FILE": str(tmp_path / "health"),
            }
            orderd = DaemonProcess(given | env)
            stack.callback(orderd.kill)
            if ready:
                orderd.wait_ready()
            return orderd

        yield start


def test_a_life_is_told_in_its_order(
    shop: Shop, manager: ServiceManager, start: Start, database_url: str
) -> None:
    with proxy_before(database_url) as proxy:
        orderd = start(ready=False, ORDERD_DATABASE_URL=proxy.url)
        manager.wait_for_status("starting: waiting for the database")
        manager.wait_for(lambda told: told.value("EXTEND_TIMEOUT_USEC") == "60000000")
        assert "READY=1" not in manager.names()

        proxy.open()
        manager.wait_for(lambda told: told.lines[0] == "READY=1")
        orderd.wait_for_event("consumer.started")
        shop.send_all([product(id=f"p-{n}") for n in range(3)])
        shop.wait_for("p-0", "p-1", "p-2")
        # How many of the three the first figures count depends on when they are taken.
        manager.wait_for_status("running: ", "/s, ", " settled, last applied")
        manager.wait_for_status("running: idle, 3 settled, last applied", timeout_s=30)

        orderd.send(signal.SIGHUP)
        reloading = manager.wait_for(lambda told: told.lines[0] == "RELOADING=1")
        assert int(reloading.value("MONOTONIC_USEC") or 0) <= time.monotonic() * 1e6
        orderd.wait_for_event("config.reloaded")

        assert orderd.stop() == 0

    wait_until(lambda: "STOPPING=1" in manager.names(), timeout_s=5, what="STOPPING=1")
    told = [name for name in manager.names() if not name.startswith("EXTEND_TIMEOUT")]
    assert told == ["READY=1", "RELOADING=1", "READY=1", "STOPPING=1"]
    assert manager.names()[-1] == "EXTEND_TIMEOUT_USEC=60000000"


def test_a_stop_under_load_asks_for_time_and_pings_until_its_end(
    shop: Shop, manager: ServiceManager, start: Start, admin_database_url: str
) -> None:
    shop.open_with(stock=10)
    orderd = start(WATCHDOG_USEC="300000")
    holder = psycopg2.connect(admin_database_url)
    holder.cursor().execute("SELECT FROM products FOR UPDATE")
    shop.send_all([order({1: 1}, id="held-up")])
    wait_until(
        lambda: shop.value("SELECT count(*) FROM pg_locks WHERE NOT granted"),
        timeout_s=10,
        what="orderd waiting for the lock",
    )

    orderd.terminate()
    manager.wait_for_status("draining")
    stopping = len(manager.told)
    # The batch in hand still waits for its lock, and that is part of the drain.
    manager.wait_for(lambda told: "WATCHDOG=1" in told.lines, after=stopping)
    holder.close()

    orderd.wait_for_event("daemon.draining")
    assert orderd.exit_code() == 0
    assert any(told.value("EXTEND_TIMEOUT_USEC") for told in manager.told[stopping - 1 :])
    assert manager.names().count("STOPPING=1") == 1


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("schema", "orderctl migrate"), ("setting", "batch_max"), ("topology", "order.retry.5s")],
)
def test_a_fault_that_only_an_operator_can_mend_is_told_with_its_code(  # noqa: PLR0917
    shop: Shop,
    manager: ServiceManager,
    start: Start,
    empty_database_url: str,
    fault: str,
    reason: str,
) -> None:
    env = {
        "schema": {"ORDERD_DATABASE_URL": empty_database_url},
        "setting": {"ORDERD_BATCH_MAX": "0"},
        "topology": {},
    }[fault]
    if fault == "topology":
        shop.channel.queue_declare("order.retry.5s", durable=True)

    orderd = start(ready=False, **env)

    assert orderd.exit_code() == 78
    told = manager.wait_for(lambda told: told.value("EXIT_STATUS") is not None)
    assert (told.value("EXIT_STATUS"), told.value("ERRNO")) == ("78", "22")
    assert reason in (told.value("STATUS") or "")
    assert "READY=1" not in manager.names()


@pytest.mark.parametrize("server", ["database", "broker"])
def test_an_outage_is_no_hang(
    manager: ServiceManager, start: Start, database_url: str, vhost_url: str, server: str
) -> None:
    urls = {"database": database_url, "broker": vhost_url}
    with proxy_before(urls[server]) as proxy:
        proxy.open()
        urls[server] = proxy.url
        orderd = start(ORDERD_DATABASE_URL=urls["database"], ORDERD_RABBITMQ_URL=urls["broker"])
        proxy.shut()
        # The database is missed only when something asks for it: the next sweep does.
        orderd.wait_for_event("intake.paused")
        manager.wait_for_status(f"paused: waiting for the {server}")
        _assert_pings_for(manager, 3 * WATCHDOG_S)
        paused = len(manager.told) - 1
        proxy.open()
        manager.wait_for_status("running: ", after=paused)
        assert manager.names().count("READY=1") == 1


def test_a_database_that_does_not_answer_is_no_hang_either(
    shop: Shop, manager: ServiceManager, start: Start, database_url: str
) -> None:
    shop.open_with(stock=10)
    with proxy_before(database_url) as proxy:
        proxy.open()
        orderd = start(ORDERD_DATABASE_URL=proxy.url)
        orderd.wait_for_event("consumer.started")

        # Nothing is closed: as when its disk hangs, or a COMMIT waits for a standby.
        proxy.silence()
        shop.send_all([order({1: 1}, id="in-hand")])
        _assert_pings_for(manager, 3 * WATCHDOG_S)
        proxy.speak()

        assert shop.wait_for("in-hand") == {"in-hand": "applied"}
        assert orderd.events("database.disconnected") == []
        assert orderd.stop() == 0


def test_a_broker_that_falls_silent_under_load_is_no_hang_either(
    shop: Shop, manager: ServiceManager, start: Start, vhost_url: str
) -> None:
    shop.open_with(stock=10_000)
    with proxy_before(vhost_url) as proxy:
        proxy.open()
        orderd = start(ORDERD_RABBITMQ_URL=proxy.url, ORDERD_BATCH_MAX="10", ORDERD_HEARTBEAT="10s")
        shop.send_all([order({1: 1}, id=f"o-{n}") for n in range(1000)])
        orderd.wait_for_event("batch.committed")

        proxy.silence()
        _assert_pings_for(manager, 30, within_s=9)
        orderd.wait_for_event("broker.disconnected", timeout_s=60)
        proxy.speak()

        shop.wait_for_rows(1000, "orders", timeout_s=60)
        assert orderd.stop() == 0


@pytest.mark.parametrize("server", ["database", "broker"])
def test_a_server_that_does_not_answer_at_the_start_is_waited_for_with_signs_of_life(
    manager: ServiceManager, start: Start, database_url: str, vhost_url: str, server: str
) -> None:
    urls = {"database": database_url, "broker": vhost_url}
    with proxy_before(urls[server]) as proxy:
        proxy.open()
        proxy.silence()
        urls[server] = proxy.url
        start(
            ready=False,
            ORDERD_DATABASE_URL=urls["database"],
            ORDERD_RABBITMQ_URL=urls["broker"],
            # One host of the database may take 5 s to be given up.
            WATCHDOG_USEC="9000000",
        )
        manager.wait_for(lambda told: "WATCHDOG=1" in told.lines)
        _assert_pings_for(manager, 20, within_s=9)
        proxy.speak()
        manager.wait_for(lambda told: told.lines[0] == "READY=1", timeout_s=30)


def test_a_daemon_that_hangs_pings_no_more(manager: ServiceManager, start: Start) -> None:
    orderd = start(WATCHDOG_USEC="600000")
    manager.wait_for(lambda told: "WATCHDOG=1" in told.lines)

    orderd.send(signal.SIGSTOP)
    time.sleep(1)  # what had been sent by then is read
    before = len(manager.told)
    time.sleep(3)  # that nothing happens can only be seen by looking for a while
    assert len(manager.told) == before
    orderd.send(signal.SIGCONT)

    manager.wait_for(lambda told: "WATCHDOG=1" in told.lines, after=before)


def test_a_watchdog_that_the_manager_does_not_pass_on_is_a_setting(
    manager: ServiceManager, start: Start
) -> None:
    start(WATCHDOG_USEC="", ORDERD_WATCHDOG="1500ms")
    wait_until(lambda: len(manager.pings_s()) >= 5, timeout_s=20, what="pings")

    gaps_s = [later - earlier for earlier, later in pairwise(manager.pings_s())]
    assert sorted(gaps_s)[len(gaps_s) // 2] < 1.5


def test_a_manager_that_does_not_read_holds_no_work_up(
    shop: Shop, start: Start, tmp_path: Path
) -> None:
    deaf = ServiceManager(tmp_path / "deaf", reads=False)
    shop.open_with(stock=10_000)
    orderd = start(NOTIFY_SOCKET=str(deaf.path), WATCHDOG_USEC="3000", ORDERD_BATCH_MAX="1")
    shop.send_all([order({1: 1}) for _ in range(50)])
    shop.wait_for_rows(50, "processed_requests", timeout_s=30)
    started_s = time.monotonic()

    shop.send_all([order({1: 1}) for _ in range(300)])
    shop.wait_for_rows(350, "processed_requests", timeout_s=30)

    # With a wait of 0.2 s for each message, it would be a minute at least.
    assert time.monotonic() - started_s < 50
    assert orderd.stop() == 0
    deaf.close()


def _assert_pings_for(
    manager: ServiceManager, seconds: float, within_s: float = WATCHDOG_S
) -> None:
    """Watch for so long: no two signs of life are further apart than the watchdog allows."""
    started_s = time.monotonic()
    wait_until(
        lambda: time.monotonic() - started_s > seconds, timeout_s=seconds + 10, what="the time"
    )
    seen_s = [started_s, *(at_s for at_s in manager.pings_s() if at_s > started_s)]
    gaps_s = [later - earlier for earlier, later in pairwise([*seen_s, time.monotonic()])]
    assert max(gaps_s) < within_s
