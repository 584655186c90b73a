"""A clean stop is no crash, also where the database cannot be told of it."""

import signal

import pytest

from tests.acceptance.commit_trap import CommitTrap, Where
from tests.acceptance.shop import Shop, order
from tests.conftest import StartDaemon
from tools.waiting import wait_until

IDS = ["x", *(f"neighbour-{number}" for number in range(5))]
# In what writes an event, and in nothing else.
CREATED = b"order.created"


@pytest.mark.parametrize("queue_type", ["classic", "quorum"])
def test_two_clean_stops_in_an_outage_and_a_crash_are_one_crash(
    shop: Shop, daemon: StartDaemon, database_url: str, queue_type: str
) -> None:
    shop.channel.queue_delete("order")
    shop.channel.queue_declare("order", durable=True, arguments={"x-queue-type": queue_type})
    shop.open_with(stock=1000)
    shop.send_all([order({1: 1}, id=request_id) for request_id in IDS])
    killed = daemon(ready=False, failpoint="before_commit@x")
    assert killed.exit_code() == -signal.SIGKILL

    for _ in range(2):
        with CommitTrap(database_url, only=CREATED) as trap:
            trap.open()
            trap.arm(Where.BEFORE)
            one = daemon(database_url=trap.url, ready=False)
            wait_until(lambda: trap.sprung, timeout_s=30, what="a COMMIT to be lost")
            trap.shut()
            one.wait_for_event("intake.paused")
            assert one.stop() == 0

    assert shop.value("SELECT max(tries) FROM message_tries") == 2
    last = daemon(outbox_grace=0.5)
    assert shop.wait_for(*IDS, timeout_s=40) == dict.fromkeys(IDS, "applied")
    assert shop.take_all("order.dlq") == []
    assert not last.events("message.dead_lettered")
    assert shop.value("SELECT stock_quantity FROM products") == 1000 - len(IDS)
    assert last.stop() == 0
    assert shop.query("SELECT FROM message_tries") == []
