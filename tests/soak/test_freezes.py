"""A daemon stands still for longer than everybody waits for it, and then goes on."""

import random
import signal
from collections.abc import Sequence
from contextlib import closing
from functools import partial

import psycopg2
import pytest

from tests.soak.audit import Pardon
from tests.soak.chaos_run import ChaosRun
from tests.soak.workload import HOT
from tools.daemon import DaemonProcess
from tools.rabbitmq import PrivateRabbit
from tools.waiting import wait_until

pytestmark = pytest.mark.soak

HEARTBEAT_S = 10
# The broker hangs up after two heartbeats, PostgreSQL 40 s after a transaction's last statement.
FROZEN_S = 60
# Where nothing is committed yet, and around.
POINTS = {
    "in transaction": ["tx_begun", "loaded", "decided", "persisted"],
    "around it": [
        *("received", "decoded", "after_commit", "events_published", "replies_published"),
        *("events_confirmed", "before_ack", "after_ack"),
    ],
}
RETRY_DELAYS = "1s, 2s, 4s, 8s, 16s, 32s, 64s"


def test_frozen_daemons_do_nothing_twice_when_they_go_on(
    chaos: ChaosRun, private_rabbit: PrivateRabbit, chance: random.Random
) -> None:
    chaos.begin(
        "SIGSTOP past heartbeat and watchdog",
        daemons=3,
        rate=30,
        heartbeat=HEARTBEAT_S,
        retry_delays=RETRY_DELAYS,
    )
    in_transaction, anywhere, _ = chaos.daemons
    last = max(HOT)

    with closing(psycopg2.connect(chaos.database_url)) as holder:
        holder.cursor().execute("SELECT FROM products WHERE id = %s FOR UPDATE", [last])
        wait_until(lambda: chaos.waiting_for_locks() > 0, timeout_s=20, what="a daemon at a lock")
        in_transaction.send(signal.SIGSTOP)
    chaos.wait_for_work(chance.randint(1, 5))
    anywhere.send(signal.SIGSTOP)
    try:
        wait_until(
            lambda: not _connections(private_rabbit, [in_transaction, anywhere]),
            timeout_s=FROZEN_S,
            what="the broker to hang up on frozen daemons",
        )
        chaos.wait_for_work(100)
    finally:
        for one in (in_transaction, anywhere):
            one.send(signal.SIGCONT)
    for one in (in_transaction, anywhere):
        one.wait_for_event("broker.disconnected")
        one.wait_for_event("intake.resumed")
    chaos.recover()

    chaos.finish(Pardon(deferred={"transient"}))


@pytest.mark.parametrize("place", ["in transaction", "around it"])
def test_daemons_frozen_at_each_point_do_nothing_twice_when_they_go_on(
    chaos: ChaosRun, private_rabbit: PrivateRabbit, chance: random.Random, place: str
) -> None:
    chaos.begin(
        f"SIGSTOP at each point {place}, another daemon at work",
        daemons=1,
        rate=40,
        heartbeat=HEARTBEAT_S,
        retry_delays=RETRY_DELAYS,
    )
    points = POINTS[place]
    chance.shuffle(points)

    for point in points:
        frozen = chaos.hire(ready=False, failpoint=f"stop:{point}:{chance.randint(1, 4)}")
        wait_until(partial(_is_frozen, frozen), timeout_s=60, what=f"a daemon at {point}")
        _hang_up(private_rabbit, frozen)
        chaos.wait_for_work(50)
        mark = frozen.mark()
        frozen.send(signal.SIGCONT)
        frozen.wait_for_event("broker.disconnected", after=mark)
        frozen.wait_for_event("intake.resumed", after=mark)
        assert frozen.stop() == 0

    chaos.finish(Pardon(deferred={"transient"}))


def _is_frozen(one: DaemonProcess) -> bool:
    return one.is_frozen


def _hang_up(rabbit: PrivateRabbit, one: DaemonProcess) -> None:
    """Let the broker close the connections of a daemon, as it does without heartbeats."""
    told = rabbit.ctl("list_connections", "pid", "client_properties").splitlines()
    for line in told:
        if f' {one.pid}"' in line:
            rabbit.ctl("close_connection", line.split("\t")[0], "no heartbeat")


def _connections(rabbit: PrivateRabbit, daemons: Sequence[DaemonProcess]) -> list[str]:
    """Return the connections that the broker believes to have with *daemons*."""
    told = rabbit.ctl("list_connections", "client_properties").splitlines()
    return [line for line in told if any(f' {one.pid}"' in line for one in daemons)]
