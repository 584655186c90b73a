"""What is tested here holds on each version of RabbitMQ: `shop` and `daemon` are on `broker`."""

import pytest

from tests.support.versions import Broker
from tools.rabbitmq import PrivateRabbit


@pytest.fixture
def private_rabbit(broker: Broker) -> PrivateRabbit:
    """The node of that version."""
    return broker.rabbit


@pytest.fixture
def vhost(broker: Broker) -> str:
    """The name of this test's virtual host."""
    return broker.vhost


@pytest.fixture
def vhost_url(broker: Broker) -> str:
    """The URL of this test's virtual host."""
    return broker.url


@pytest.fixture
def admin_vhost_url(broker: Broker) -> str:
    """The same for the administrator."""
    return broker.admin_url
