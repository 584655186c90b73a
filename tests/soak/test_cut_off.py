"""Commands without an id are done once, where their daemon is cut off before it commits them."""

import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg2
import pytest

from tests.acceptance.shop import command
from tests.conftest import StartDaemon
from tests.soak.chaos_run import ChaosRun, times
from tools.daemon import DaemonProcess
from tools.rabbitmq import PrivateRabbit
from tools.waiting import wait_until

pytestmark = pytest.mark.soak

HEARTBEAT_S = 10
COUNT = 100
ROUNDS = 4
POINTS = ["tx_begun", "loaded", "decided", "persisted"]
CONTENT = {"user_id": 1, "items": [{"product_id": 1, "quantity": 1}]}


@contextmanager
def orders_of(chaos: ChaosRun, fault: str) -> Iterator[None]:
    """Open the shop, and keep the figures: what is there in the end was sent, and no more."""
    chaos.figures.fault = fault
    with closing(chaos.shop()) as shop:
        shop.open_with(stock=100_000)
        yield
        assert shop.stock_mismatches() == []
    chaos.figures.is_audited = True


def send(chaos: ChaosRun) -> None:
    """Send orders that nobody would know again."""
    with closing(chaos.shop()) as shop:
        shop.send_all([command("order", "create", CONTENT, reply_to=None)] * COUNT)
    chaos.figures.requests += COUNT


def freeze(daemon: StartDaemon, point: str) -> DaemonProcess:
    """Return a daemon that stands still at that point, with all that waits in hand."""
    one = daemon(ready=False, failpoint=f"stop:{point}", heartbeat=HEARTBEAT_S)
    wait_until(lambda: one.is_frozen, timeout_s=30, what=f"orderd at {point}")
    return one


def settle(chaos: ChaosRun, *daemons: DaemonProcess) -> None:
    """Return when all is done, once, and the daemons have ended."""

    def is_done() -> bool:
        with closing(chaos.shop()) as shop:
            return shop.waiting() == 0 and _orders(chaos) >= chaos.figures.requests

    wait_until(is_done, timeout_s=60, what=f"{chaos.figures.requests} orders")
    assert [one.stop() for one in daemons] == [0] * len(daemons)
    chaos.figures.outages += 1
    assert _orders(chaos) == chaos.figures.requests


def _orders(chaos: ChaosRun) -> int:
    return int(chaos.query("SELECT count(*) FROM orders")[0][0])


def test_daemons_that_are_cut_off_at_a_lock_do_nothing_twice(
    chaos: ChaosRun, daemon: StartDaemon, vhost: str, private_rabbit: PrivateRabbit
) -> None:
    with orders_of(chaos, "cut off while a lock is waited for, without ids"):
        for _ in range(times(ROUNDS)):
            one = daemon()
            with closing(psycopg2.connect(chaos.database_url)) as holder:
                holder.cursor().execute("SELECT FROM products FOR UPDATE")
                send(chaos)
                wait_until(lambda: chaos.waiting_for_locks() > 0, timeout_s=20, what="a lock wait")
                private_rabbit.ctl("close_all_connections", "--vhost", vhost, "cut off")
            one.wait_for_event("broker.disconnected")
            settle(chaos, one)


@pytest.mark.parametrize("is_closed", [True, False])
def test_daemons_that_are_frozen_in_a_transaction_do_nothing_twice(
    chaos: ChaosRun,
    daemon: StartDaemon,
    vhost: str,
    private_rabbit: PrivateRabbit,
    *,
    is_closed: bool,
) -> None:
    how = "hung up on" if is_closed else "past the heartbeat"
    with orders_of(chaos, f"frozen in a transaction, {how}, without ids"):
        for number in range(times(ROUNDS)):
            send(chaos)
            frozen = freeze(daemon, POINTS[number % len(POINTS)])
            if is_closed:
                private_rabbit.ctl("close_all_connections", "--vhost", vhost, "no heartbeat")
            other = daemon()
            wait_until(
                lambda: _orders(chaos) >= chaos.figures.requests,
                timeout_s=4 * HEARTBEAT_S,
                what="the work of another daemon",
            )
            mark = frozen.mark()
            frozen.send(signal.SIGCONT)
            frozen.wait_for_event("broker.connected", after=mark)
            settle(chaos, frozen, other)
