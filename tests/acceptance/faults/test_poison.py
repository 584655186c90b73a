"""A message that kills the daemon each time is put aside; its neighbours are not."""

import signal
from contextlib import closing
from functools import partial

import psycopg2
import pytest

from tests.acceptance.shop import Shop, order
from tests.conftest import StartDaemon
from tools.daemon import DaemonProcess
from tools.rabbitmq import PrivateRabbit
from tools.waiting import wait_until

POISON = "the poison"
NEIGHBOURS = [f"neighbour {number}" for number in range(20)]
KILLS_MAX = 10
# Where a row is locked: its order is tried again soon, and for two minutes, because rabbitmqctl
# takes long on a busy machine.
RETRY_DELAYS = "1s,2s,4s,6s,8s,10s,12s,14s,15s,16s"


def send_with_neighbours(shop: Shop) -> None:
    shop.open_with(stock=1000)
    ids = [*NEIGHBOURS[:10], POISON, *NEIGHBOURS[10:]]
    shop.send_all([order({1: 1}, id=request_id) for request_id in ids])


def crash_until_it_lives(daemon: StartDaemon, shop: Shop, failpoint: str) -> int:
    """Start daemons that die of the message, until one is left with nothing to do; return kills."""
    for kills in range(KILLS_MAX):
        one = daemon(ready=False, failpoint=failpoint, outbox_grace=0.2)
        wait_until(
            partial(is_dead_or_done, one, shop),
            timeout_s=20,
            what="the daemon to die or to be done",
        )
        if one.is_running:
            one.stop()
            return kills
        assert one.exit_code() == -signal.SIGKILL
    raise AssertionError(f"killed {KILLS_MAX} times")


def is_dead_or_done(one: DaemonProcess, shop: Shop) -> bool:
    return not one.is_running or shop.ready("order.dlq") > 0 or is_settled(shop)


def is_dead_or_has_given_up(one: DaemonProcess) -> bool:
    return not one.is_running or bool(one.events("message.quarantined"))


def is_settled(shop: Shop) -> bool:
    """Return whether no message is in the queue nor in anybody's hand: all consumers are idle."""
    return shop.outcomes().keys() >= {POISON, *NEIGHBOURS} and shop.ready("order") == 0


@pytest.mark.parametrize("point", ["decoded", "loaded", "before_commit"])
def test_a_message_that_kills_each_time_is_quarantined_and_its_neighbours_are_done(
    shop: Shop, daemon: StartDaemon, point: str
) -> None:
    daemon().stop()  # which leaves the queues behind
    send_with_neighbours(shop)

    kills = crash_until_it_lives(daemon, shop, f"{point}@{POISON}")

    assert kills == 3
    (letter,) = shop.take("order.dlq")
    assert letter.headers["orderd-code"] == "poison"
    assert POISON.encode() in letter.body
    daemon()
    assert shop.wait_for(*NEIGHBOURS) == dict.fromkeys(NEIGHBOURS, "applied")
    assert shop.value("SELECT stock_quantity FROM products") == 1000 - len(NEIGHBOURS)
    assert shop.take_all("order.dlq") == []


def test_a_committed_message_that_kills_each_time_is_acked_and_not_dead_lettered(
    shop: Shop, daemon: StartDaemon
) -> None:
    send_with_neighbours(shop)

    for _ in range(KILLS_MAX):
        one = daemon(ready=False, failpoint=f"after_commit@{POISON}", outbox_grace=0.2)
        wait_until(
            partial(is_dead_or_has_given_up, one),
            timeout_s=20,
            what="the daemon to die or to give the message up",
        )
        if one.is_running:
            break

    wait_until(lambda: is_settled(shop), timeout_s=20, what="everything to be settled")
    assert one.is_running
    assert shop.take_all("order.dlq") == []
    assert shop.value("SELECT stock_quantity FROM products") == 1000 - len(NEIGHBOURS) - 1


def test_lost_connections_are_not_counted_as_crashes(
    shop: Shop,
    daemon: StartDaemon,
    private_rabbit: PrivateRabbit,
    vhost: str,
    admin_database_url: str,
) -> None:
    shop.open_with(stock=1000)
    one = daemon(retry_delays=RETRY_DELAYS)
    with closing(psycopg2.connect(admin_database_url)) as rival:
        rival.cursor().execute("SELECT FROM products FOR UPDATE")
        shop.send_all([order({1: 1}, id="x")])
        for _ in range(5):
            mark = one.mark()
            private_rabbit.ctl("close_all_connections", "--vhost", vhost, "a test")
            one.wait_for_event("consumer.started", after=mark)

    assert shop.wait_for("x", timeout_s=40) == {"x": "applied"}
    assert shop.query("SELECT key FROM message_tries WHERE tries > 1") == []


def test_a_message_that_kills_on_a_quorum_queue_is_quarantined_too(
    shop: Shop, daemon: StartDaemon
) -> None:
    shop.channel.queue_delete("order")
    shop.channel.queue_declare("order", durable=True, arguments={"x-queue-type": "quorum"})
    daemon().stop()  # which leaves the queues behind
    send_with_neighbours(shop)

    kills = crash_until_it_lives(daemon, shop, f"decided@{POISON}")

    assert kills == 3
    (letter,) = shop.take("order.dlq")
    assert letter.headers["orderd-code"] == "poison"
    assert letter.body == order({1: 1}, id=POISON).body
    daemon()
    assert shop.wait_for(*NEIGHBOURS) == dict.fromkeys(NEIGHBOURS, "applied")


def test_a_crash_of_somebody_elses_making_leaves_no_trace(shop: Shop, daemon: StartDaemon) -> None:
    send_with_neighbours(shop)
    crashed = daemon(ready=False, failpoint="decided")
    assert crashed.exit_code() == -signal.SIGKILL

    daemon(outbox_grace=0.2)

    assert shop.wait_for(POISON, *NEIGHBOURS).keys() >= {POISON}
    shop.wait_for_rows(0, "message_tries")
