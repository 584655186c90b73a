"""A consumer and a publisher on a virtual host of their own, and a client to look from outside."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from typing import Any

import pika
import pytest

from orderd.amqp.consumer import Consumer
from orderd.amqp.endpoint import BrokerEndpoint
from orderd.amqp.publisher import Publisher
from orderd.protocol.names import Queue
from orderd.protocol.tenants import Tenant
from tools.rabbitmq import PrivateRabbit

RETRY_DELAYS_S = (5, 30, 300)


@pytest.fixture
def endpoint(vhost_url: str) -> BrokerEndpoint:
    return BrokerEndpoint((vhost_url,), "orderd-test")


class Opened:
    """Makes consumers and publishers that are closed after the test, however it ends."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def consumer(
        self,
        endpoint: BrokerEndpoint,
        *,
        queues: Sequence[str] = tuple(Queue),
        prefetch: int = 400,
        retry_delays_s: Sequence[float] = RETRY_DELAYS_S,
        queue_type: str = "",
        inbox_bytes_max: int = 32 * 1024 * 1024,
    ) -> Consumer:
        return self._stack.enter_context(
            closing(
                Consumer(
                    endpoint,
                    Tenant("orderd", tuple(queues)),
                    prefetch,
                    retry_delays_s,
                    queue_type,
                    inbox_bytes_max=inbox_bytes_max,
                )
            )
        )

    def publisher(self, endpoint: BrokerEndpoint) -> Publisher:
        return self._stack.enter_context(closing(Publisher(endpoint)))


@pytest.fixture
def opened() -> Iterator[Opened]:
    with ExitStack() as stack:
        yield Opened(stack)


@pytest.fixture
def publisher(endpoint: BrokerEndpoint, opened: Opened) -> Publisher:
    """A publisher, connected."""
    one = opened.publisher(endpoint)
    one.connect()
    return one


@pytest.fixture
def consumer(endpoint: BrokerEndpoint, opened: Opened) -> Consumer:
    """A consumer of the three command queues, not connected yet."""
    return opened.consumer(endpoint)


@pytest.fixture
def outside(vhost_url: str) -> Iterator[Any]:
    """A channel of pika's own, of somebody who does not know orderd."""
    with pika.BlockingConnection(pika.URLParameters(vhost_url)) as connection:
        yield connection.channel()


@pytest.fixture
def memory_alarm(private_rabbit: PrivateRabbit) -> Iterator[PrivateRabbit]:
    """The node in memory alarm: it blocks whoever publishes."""
    private_rabbit.ctl("set_vm_memory_high_watermark", "0")
    yield private_rabbit
    end_alarm(private_rabbit)


def end_alarm(rabbit: PrivateRabbit) -> None:
    rabbit.ctl("set_vm_memory_high_watermark", "absolute", "512MB")
