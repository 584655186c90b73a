"""Big bodies in hand in an alarm of the broker go back to it, and are done after that."""

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.acceptance.shop import Shop
from tests.conftest import StartDaemon
from tools.rabbitmq import PrivateRabbit
from tools.waiting import wait_until

COUNT = 60
BODY = b"x" * 500_000


@pytest.fixture
def rabbit(private_rabbit: PrivateRabbit) -> Iterator[PrivateRabbit]:
    """The node, at the end without an alarm."""
    yield private_rabbit
    end_alarm(private_rabbit)


def end_alarm(rabbit: PrivateRabbit) -> None:
    rabbit.ctl("set_vm_memory_high_watermark", "absolute", "512MB")


def test_what_cannot_be_settled_in_an_alarm_goes_back(
    shop: Shop, rabbit: PrivateRabbit, daemon: StartDaemon
) -> None:
    for number in range(COUNT):
        shop.channel.basic_publish("", "product", b"%d" % number + BODY)
    wait_until(lambda: shop.ready("product") == COUNT, timeout_s=30, what="all messages")
    rabbit.ctl("set_vm_memory_high_watermark", "0")
    orderd = daemon()
    orderd.wait_for_event("broker.blocked")

    orderd.wait_for_event("message.requeued")
    wait_until(lambda: shop.ready("product") == COUNT, timeout_s=30, what="all given back")
    end_alarm(rabbit)

    wait_until(lambda: shop.ready("product.dlq") >= COUNT, timeout_s=90, what="all dead letters")
    assert orderd.stop() == 0
    letters = Counter(one.body for one in shop.take_all("product.dlq"))
    assert letters == Counter(b"%d" % number + BODY for number in range(COUNT))
    assert shop.ready("product") == 0
    assert orderd.events("broker.disconnected") == []
