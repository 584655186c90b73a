"""A consumer and a publisher on a virtual host of their own, and a client to look from outside."""

from collections.abc import Iterator
from typing import Any

import pika
import pytest

from orderd.amqp.consumer import Consumer
from orderd.amqp.endpoint import BrokerEndpoint
from orderd.amqp.publisher import Publisher
from orderd.contract.names import Queue
from tests.harness.rabbitmq import PrivateRabbit

RETRY_DELAYS_S = (5, 30, 300)


@pytest.fixture
def endpoint(vhost_url: str) -> BrokerEndpoint:
    return BrokerEndpoint((vhost_url,), "orderd-test")


@pytest.fixture
def publisher(endpoint: BrokerEndpoint) -> Iterator[Publisher]:
    """A publisher, connected."""
    one = Publisher(endpoint)
    one.connect()
    yield one
    one.close()


@pytest.fixture
def consumer(endpoint: BrokerEndpoint) -> Iterator[Consumer]:
    """A consumer of the three command queues, not connected yet."""
    one = Consumer(endpoint, tuple(Queue), 400, RETRY_DELAYS_S, "")
    yield one
    one.close()


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
