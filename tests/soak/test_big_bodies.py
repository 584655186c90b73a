"""400 big bodies at a broker with little memory: all get to the dead letters, each once.

In classic queues: quorum queues keep what they are given in memory, until its log is full.
"""

from collections.abc import Iterator
from contextlib import closing

import pika
import pytest

from tests.acceptance.shop import PERSISTENT, Shop
from tests.conftest import StartDaemonOn
from tests.support.versions import Broker
from tools.rabbitmq import PrivateRabbit
from tools.waiting import wait_until

pytestmark = pytest.mark.soak

COUNT = 400
BODY = b"x" * 900_000
ABOVE_IDLE_BYTES = 100_000_000
# The node itself takes its time: it writes to its disk what the limit leaves no memory for.
LIMIT_S = 300


def memory_bytes(rabbit: PrivateRabbit) -> int:
    return int(rabbit.ctl("eval", "vm_memory_monitor:get_process_memory()."))


@pytest.fixture
def rabbit(broker: Broker) -> Iterator[PrivateRabbit]:
    yield broker.rabbit
    broker.rabbit.ctl("set_vm_memory_high_watermark", "absolute", "512MB")


@pytest.mark.parametrize("broker_version", ["3.10", "4.0", "4.3"])
def test_what_is_in_hand_does_not_stop_all_for_ever(
    broker: Broker,
    rabbit: PrivateRabbit,
    database_url: str,
    daemon_on: StartDaemonOn,
) -> None:
    properties = pika.BasicProperties(delivery_mode=PERSISTENT)
    with closing(Shop(broker.url, database_url)) as shop:
        assert daemon_on(broker.url, queue_type="classic").stop() == 0
        limit = memory_bytes(rabbit) + ABOVE_IDLE_BYTES
        for number in range(COUNT):
            shop.channel.basic_publish("", "product", b"%d" % number + BODY, properties)
        wait_until(lambda: shop.ready("product") == COUNT, timeout_s=60, what="all messages")
        rabbit.ctl("set_vm_memory_high_watermark", "absolute", str(limit))

        orderd = daemon_on(broker.url, queue_type="classic", ready=False)

        wait_until(
            lambda: shop.ready("product.dlq") >= COUNT, timeout_s=LIMIT_S, what="all dead letters"
        )
        assert orderd.stop() == 0
        letters = {one.body for one in shop.take_all("product.dlq")}
        assert (len(letters), shop.ready("product")) == (COUNT, 0)
        assert orderd.events("broker.disconnected") == []
