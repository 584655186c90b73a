"""RabbitMQ dies, hangs up, loses a queue, or takes nothing any more, under load."""

import signal
import time
from collections.abc import Callable, Sequence
from contextlib import closing

import pytest

from tests.acceptance.shop import COMMAND_QUEUES
from tests.soak.chaos_run import ChaosRun, times
from tools.daemon import DaemonProcess
from tools.rabbitmq import PrivateRabbit
from tools.waiting import wait_until

pytestmark = pytest.mark.soak

ALARMS = {
    "memory": (
        ("set_vm_memory_high_watermark", "0"),
        ("set_vm_memory_high_watermark", "absolute", "512MB"),
    ),
    "disk": (("set_disk_free_limit", "1000GB"), ("set_disk_free_limit", "50MB")),
}
ALARM_S = 5
ANSWER_WITHIN_S = 5


def test_restarts_of_the_broker_cost_nothing(
    chaos: ChaosRun, private_rabbit: PrivateRabbit
) -> None:
    chaos.begin("broker restarted", daemons=2)
    ways: list[Callable[[], None]] = [private_rabbit.kill, private_rabbit.stop]

    for end in ways * times(1):
        chaos.wait_for_work()
        marks = [(one, one.mark()) for one in chaos.daemons]
        end()
        for one, mark in marks:
            one.wait_for_event("intake.paused", after=mark, timeout_s=30)
        private_rabbit.start()
        chaos.recover()

    chaos.finish()


def test_connections_that_the_broker_closes_cost_nothing(
    chaos: ChaosRun, private_rabbit: PrivateRabbit, vhost: str
) -> None:
    chaos.begin("connections closed by the broker", daemons=2)

    for _ in range(times(8)):
        chaos.wait_for_work(50)
        private_rabbit.ctl("close_all_connections", "--vhost", vhost, "a test")
        chaos.recover()

    chaos.finish()


def test_deleted_queues_and_cancelled_consumers_cost_nothing(
    chaos: ChaosRun, private_rabbit: PrivateRabbit, vhost: str
) -> None:
    chaos.begin("queues deleted, consumers cancelled", daemons=2)

    for queue in COMMAND_QUEUES * times(2):
        chaos.wait_for_work(50)
        # What is in a queue goes with it, by whoever deletes it: so it has to be empty.
        chaos.load.pause()
        with closing(chaos.shop()) as shop:
            wait_until(
                lambda: _is_empty(private_rabbit, vhost),
                timeout_s=30,
                what="queues without messages",
            )
            marks = [(one, one.mark()) for one in chaos.daemons]
            shop.channel.queue_delete(queue)
        for one, mark in marks:
            lost = one.wait_for_event("broker.disconnected", after=mark)
            assert "cancelled" in lost["message"]
        chaos.load.resume()
        chaos.recover()

    chaos.finish()


@pytest.mark.parametrize("kind", ALARMS)
def test_alarms_of_the_broker_hang_nothing_and_cost_nothing(
    chaos: ChaosRun, private_rabbit: PrivateRabbit, kind: str
) -> None:
    chaos.begin(f"{kind} alarm of the broker", daemons=2)
    on, off = ALARMS[kind]

    for _ in range(times(2)):
        chaos.wait_for_work()
        private_rabbit.ctl(*on)
        try:
            for one in chaos.daemons:
                one.wait_for_event("broker.blocked", timeout_s=30)
            _assert_answer(chaos.daemons, ALARM_S)
        finally:
            private_rabbit.ctl(*off)
        chaos.recover()

    chaos.finish()
    for one in chaos.daemons:
        assert one.events("broker.disconnected") == []


def _is_empty(rabbit: PrivateRabbit, vhost: str) -> bool:
    """Return whether nothing is in the command queues, nor in anybody's hand."""
    told = rabbit.ctl("list_queues", "-p", vhost, "--no-table-headers", "name", "messages")
    counts = dict(line.split("\t") for line in told.splitlines())
    return all(counts[queue] == "0" for queue in COMMAND_QUEUES)


def _assert_answer(daemons: Sequence[DaemonProcess], seconds: float) -> None:
    """A daemon that hangs looks at no signal: so ask them now and then, for so long."""
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        for one in daemons:
            mark = one.mark()
            one.send(signal.SIGUSR1)
            one.wait_for_event("status.logged", after=mark, timeout_s=ANSWER_WITHIN_S)
        time.sleep(1)
