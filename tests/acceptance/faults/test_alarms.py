"""RabbitMQ takes no messages any more: the daemon holds what it has, and hangs in nothing."""

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.acceptance.service_manager import ServiceManager
from tests.acceptance.shop import HEARD, REPLIES, Shop, command, order
from tests.conftest import StartDaemon
from tests.support.connections import close_publishing_connection
from tools.daemon import DaemonProcess
from tools.rabbitmq import PrivateRabbit
from tools.waiting import wait_until

WATCHDOG_S = 3
COUNT = 300


@pytest.fixture
def alarm(private_rabbit: PrivateRabbit) -> Iterator["Alarm"]:
    """The node's memory alarm, off again at the end."""
    one = Alarm(private_rabbit)
    yield one
    one.end()


class Alarm:
    """Too little memory, as the node sees it."""

    def __init__(self, rabbit: PrivateRabbit) -> None:
        self._rabbit = rabbit

    def begin(self) -> None:
        self._rabbit.ctl("set_vm_memory_high_watermark", "0")

    def end(self) -> None:
        self._rabbit.ctl("set_vm_memory_high_watermark", "absolute", "512MB")


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[ServiceManager]:
    """A service manager that counts pings."""
    with closing(ServiceManager(tmp_path / "notify")) as manager:
        yield manager


@pytest.fixture
def watched(
    manager: ServiceManager, database_url: str, vhost_url: str
) -> Iterator[Callable[[], DaemonProcess]]:
    """Start a daemon that is watched, with batches so small that its work takes several."""
    env = {
        "NOTIFY_SOCKET": str(manager.path),
        "WATCHDOG_USEC": str(WATCHDOG_S * 1_000_000),
        "ORDERD_DATABASE_URL": database_url,
        "ORDERD_RABBITMQ_URL": vhost_url,
        "ORDERD_BATCH_MAX": "10",
    }
    with ExitStack() as stack:

        def start() -> DaemonProcess:
            one = DaemonProcess(env)
            stack.callback(one.kill)
            return one

        yield start


def test_an_alarm_hangs_nothing_and_costs_nothing(
    shop: Shop, alarm: Alarm, manager: ServiceManager, watched: Callable[[], DaemonProcess]
) -> None:
    shop.open_with(stock=10_000)
    shop.send_all([order({1: 1}, id=f"order-{n}") for n in range(COUNT)])
    alarm.begin()

    orderd = watched()
    orderd.wait_for_event("broker.blocked")
    pings = len(manager.pings_s())
    wait_until(lambda: len(manager.pings_s()) > pings + 2, timeout_s=3 * WATCHDOG_S, what="pings")
    mark = orderd.mark()
    orderd.send(signal.SIGUSR1)
    orderd.wait_for_event("status.logged", after=mark, timeout_s=5)
    assert shop.value("SELECT count(*) FROM processed_requests") < COUNT
    alarm.end()

    orderd.wait_for_event("batch.committed", after=mark)
    shop.wait_for_rows(COUNT, "processed_requests", timeout_s=60)
    wait_until(lambda: shop.waiting() == 0, timeout_s=10, what="empty queues")
    assert orderd.stop() == 0
    assert shop.stock_mismatches() == []
    assert orderd.events("broker.disconnected") == []
    assert orderd.events("command.deferred") == []
    heard = [one.routing_key for one in shop.take_all(HEARD)]
    changes = [key for key in heard if key in {"system.paused", "system.resumed"}]
    assert changes == ["system.paused", "system.resumed"]


def test_acks_flow_during_an_alarm(
    shop: Shop, alarm: Alarm, vhost: str, private_rabbit: PrivateRabbit, daemon: StartDaemon
) -> None:
    shop.open_with(stock=10)
    orderd = daemon()
    # After this one it publishes nothing, and so does not learn of the alarm.
    shop.take(HEARD)
    orderd.send(signal.SIGSTOP)
    shop.query(
        "INSERT INTO orders (user_id, status, total_amount) VALUES (1, 'pending', 0) RETURNING id"
    )
    # Commands that change nothing cause neither an event nor, without an address, a reply.
    content = {"order_id": 1, "status": "pending"}
    shop.send_all(
        [
            command("order", "update_status", content, reply_to=None, id=f"same-{number}")
            for number in range(COUNT)
        ]
    )
    alarm.begin()

    orderd.send(signal.SIGCONT)

    shop.wait_for_rows(COUNT, "processed_requests", timeout_s=30)
    # The ack of a batch follows its commit; the alarm lasts until the broker has seen it.
    wait_until(
        lambda: unsettled(private_rabbit, vhost, "order") == 0, timeout_s=60, what="all acks"
    )
    orderd.kill()
    # What had not been acked would be back in the queue now.
    assert shop.ready("order") == 0


def unsettled(rabbit: PrivateRabbit, vhost: str, queue: str) -> int:
    """Return how many messages the broker has in the queue, ready or without an ack."""
    lines = rabbit.ctl("list_queues", "--vhost", vhost, "--silent", "name", "messages").splitlines()
    return {name: int(count) for name, count in map(str.split, lines)}[queue]


def test_no_start_in_an_alarm_does_what_it_cannot_settle(
    shop: Shop, alarm: Alarm, daemon: StartDaemon
) -> None:
    content = {"name": "chair", "price": "10.00", "stock_quantity": 1}
    shop.send_all([command("product", "create", content) for _ in range(COUNT)])
    alarm.begin()

    for _ in range(3):
        orderd = daemon(batch_max=10)
        orderd.wait_for_event("broker.blocked")
        assert orderd.stop() == 0
        assert orderd.events("batch.committed") == []
    alarm.end()

    orderd = daemon()
    wait_until(lambda: shop.ready(REPLIES) == COUNT, timeout_s=30, what="all replies")
    assert orderd.stop() == 0
    assert shop.value("SELECT count(*) FROM products") == COUNT


def test_a_consumer_that_is_gone_in_an_alarm_is_known_at_once(
    shop: Shop,
    alarm: Alarm,
    vhost: str,
    private_rabbit: PrivateRabbit,
    daemon: StartDaemon,
) -> None:
    content = {"name": "chair", "price": "10.00", "stock_quantity": 1}
    orderd = daemon(batch_max=10)
    orderd.send(signal.SIGSTOP)
    shop.send_all([command("product", "create", content) for _ in range(COUNT)])
    alarm.begin()
    orderd.send(signal.SIGCONT)
    orderd.wait_for_event("broker.blocked")
    mark = orderd.mark()

    private_rabbit.ctl("delete_queue", "user", "--vhost", vhost)

    orderd.wait_for_event("queue.failing", after=mark, queue="user")
    assert orderd.events("broker.unblocked") == []
    assert orderd.events("broker.disconnected") == []


def test_a_connection_that_is_lost_in_an_alarm_is_no_end_of_it(
    shop: Shop, alarm: Alarm, vhost: str, private_rabbit: PrivateRabbit, daemon: StartDaemon
) -> None:
    orderd = daemon()
    orderd.send(signal.SIGSTOP)
    shop.send_all([command("product", "list")])
    alarm.begin()
    orderd.send(signal.SIGCONT)
    orderd.wait_for_event("broker.blocked")
    mark = orderd.mark()

    close_publishing_connection(private_rabbit, vhost)

    orderd.wait_for_event("broker.disconnected", after=mark)
    orderd.wait_for_event("broker.connected", after=mark)
    orderd.wait_for_event("broker.blocked", after=mark)
    assert orderd.events("broker.unblocked") == []
    alarm.end()
    orderd.wait_for_event("broker.unblocked", after=mark)
    assert orderd.stop() == 0
