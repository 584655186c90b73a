"""An alarm that lasts longer than the broker waits for acks: what was in hand is done once."""

import signal
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.acceptance.shop import Shop, command
from tests.conftest import StartDaemonOn
from tests.support.versions import Broker
from tools.rabbitmq import PrivateRabbit
from tools.waiting import wait_until

COUNT = 100
TIMEOUT_S = 5
# How often a channel looks for deliveries that are too old.
TICK_S = 1
SET = (
    f"application:set_env(rabbit, consumer_timeout, {TIMEOUT_S}000), "
    f"application:set_env(rabbit, channel_tick_interval, {TICK_S}000)."
)
# The defaults: without them the node opens no channel.
RESET = (
    "application:set_env(rabbit, consumer_timeout, 1800000), "
    "application:set_env(rabbit, channel_tick_interval, 60000)."
)


@pytest.fixture
def impatient(broker: Broker) -> Iterator[PrivateRabbit]:
    """The node, which waits for acks for a few seconds only; all as before at the end."""
    broker.rabbit.ctl("eval", SET)
    yield broker.rabbit
    broker.rabbit.ctl("set_vm_memory_high_watermark", "absolute", "512MB")
    broker.rabbit.ctl("eval", RESET)


@pytest.mark.parametrize("queue_type", ["classic", "quorum"])
def test_commands_in_hand_in_a_long_alarm_are_done_once(
    broker: Broker,
    impatient: PrivateRabbit,
    admin_database_url: str,
    daemon_on: StartDaemonOn,
    queue_type: str,
) -> None:
    if (broker.version, queue_type) == ("4.3", "classic"):
        pytest.skip("since RabbitMQ 4.3 consumers of classic queues have no time-out")
    content = {"name": "chair", "price": "10.00", "stock_quantity": 1}
    with closing(Shop(broker.admin_url, admin_database_url, queue_type)) as shop:
        orderd = daemon_on(broker.url, batch_max=10, queue_type=queue_type)
        orderd.send(signal.SIGSTOP)
        shop.send_all([command("product", "create", content) for _ in range(COUNT)])
        impatient.ctl("set_vm_memory_high_watermark", "0.00001")
        # The broker tells of the alarm once something is published: a batch is committed by then.
        orderd.send(signal.SIGCONT)
        orderd.wait_for_event("broker.blocked")

        # RabbitMQ 4.3 may cancel the consumer a second time, and for pika the connection is lost.
        wait_until(
            lambda: orderd.events("queue.failing") + orderd.events("broker.disconnected"),
            timeout_s=40,
            what="the loss of the deliveries",
        )
        impatient.ctl("set_vm_memory_high_watermark", "absolute", "512MB")
        shop.wait_for_rows(COUNT, "products", timeout_s=30)
        wait_until(lambda: shop.waiting() == 0, timeout_s=20, what="empty queues")

        assert orderd.stop() == 0
        assert shop.value("SELECT count(*) FROM products") == COUNT
