"""Commands without an id are done once, where their daemon is cut off before it commits them."""

import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg2
import pytest

from tests.acceptance.shop import command
from tests.conftest import StartDaemon
from tests.soak.arena import Arena, times
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
def orders_of(arena: Arena, fault: str) -> Iterator[None]:
    """Open the shop, and keep the figures: what is there in the end was sent, and no more."""
    arena.figures.fault = fault
    with closing(arena.shop()) as shop:
        shop.open_with(stock=100_000)
        yield
        assert shop.stock_mismatches() == []
    arena.figures.is_audited = True


def send(arena: Arena) -> None:
    """Send orders that nobody would know again."""
    with closing(arena.shop()) as shop:
        shop.send_all([command("order", "create", CONTENT, reply_to=None)] * COUNT)
    arena.figures.requests += COUNT


def freeze(daemon: StartDaemon, point: str) -> DaemonProcess:
    """Return a daemon that stands still at that point, with all that waits in hand."""
    one = daemon(ready=False, failpoint=f"stop:{point}", heartbeat=HEARTBEAT_S)
    wait_until(lambda: one.is_frozen, timeout_s=30, what=f"orderd at {point}")
    return one


def settle(arena: Arena, *daemons: DaemonProcess) -> None:
    """Return when all is done, once, and the daemons have ended."""

    def is_done() -> bool:
        with closing(arena.shop()) as shop:
            return shop.waiting() == 0 and _orders(arena) >= arena.figures.requests

    wait_until(is_done, timeout_s=60, what=f"{arena.figures.requests} orders")
    assert [one.stop() for one in daemons] == [0] * len(daemons)
    arena.figures.outages += 1
    assert _orders(arena) == arena.figures.requests


def _orders(arena: Arena) -> int:
    return int(arena.query("SELECT count(*) FROM orders")[0][0])


def test_daemons_that_are_cut_off_at_a_lock_do_nothing_twice(
    arena: Arena, daemon: StartDaemon, vhost: str, private_rabbit: PrivateRabbit
) -> None:
    with orders_of(arena, "cut off while a lock is waited for, without ids"):
        for _ in range(times(ROUNDS)):
            one = daemon()
            with closing(psycopg2.connect(arena.database_url)) as holder:
                holder.cursor().execute("SELECT FROM products FOR UPDATE")
                send(arena)
                wait_until(lambda: arena.waiting_for_locks() > 0, timeout_s=20, what="a lock wait")
                private_rabbit.ctl("close_all_connections", "--vhost", vhost, "cut off")
            one.wait_for_event("broker.disconnected")
            settle(arena, one)


@pytest.mark.parametrize("is_closed", [True, False])
def test_daemons_that_are_frozen_in_a_transaction_do_nothing_twice(
    arena: Arena,
    daemon: StartDaemon,
    vhost: str,
    private_rabbit: PrivateRabbit,
    *,
    is_closed: bool,
) -> None:
    how = "hung up on" if is_closed else "past the heartbeat"
    with orders_of(arena, f"frozen in a transaction, {how}, without ids"):
        for number in range(times(ROUNDS)):
            send(arena)
            frozen = freeze(daemon, POINTS[number % len(POINTS)])
            if is_closed:
                private_rabbit.ctl("close_all_connections", "--vhost", vhost, "no heartbeat")
            other = daemon()
            wait_until(
                lambda: _orders(arena) >= arena.figures.requests,
                timeout_s=4 * HEARTBEAT_S,
                what="the work of another daemon",
            )
            mark = frozen.mark()
            frozen.send(signal.SIGCONT)
            frozen.wait_for_event("broker.connected", after=mark)
            settle(arena, frozen, other)
