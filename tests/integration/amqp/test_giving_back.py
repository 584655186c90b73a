"""What a stop costs the messages in hand, on each version of RabbitMQ."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from orderd.amqp.consumer import Consumer
from orderd.amqp.endpoint import BrokerEndpoint
from orderd.amqp.publisher import Publisher
from orderd.amqp.renewal import delivery_count
from orderd.protocol.names import Queue
from orderd.protocol.tenants import ORDERD
from tests.integration.amqp.steps import bodies, numbered, receive, receive_acking, send
from tests.support.versions import Broker

COUNT = 300


@pytest.fixture
def at(broker: Broker) -> BrokerEndpoint:
    return BrokerEndpoint((broker.url,), "orderd-test")


@pytest.fixture
def sender(at: BrokerEndpoint) -> Iterator[Publisher]:
    with closing(Publisher(at)) as publisher:
        publisher.connect()
        yield publisher


def consuming(at: BrokerEndpoint, queue_type: str) -> Consumer:
    consumer = Consumer(at, ORDERD, 400, (5,), queue_type)
    consumer.connect()
    return consumer


@pytest.mark.parametrize("queue_type", ["classic", "quorum"])
def test_a_stop_keeps_the_order_and_costs_one_delivery_at_most(
    at: BrokerEndpoint, sender: Publisher, broker_version: str, queue_type: str
) -> None:
    with closing(consuming(at, queue_type)) as first:
        send(sender, [one for queue in Queue for one in numbered(queue, COUNT)])
        receive(first, 3 * COUNT)
        # These are on their way while the consumers are cancelled, one after the other.
        confirms = sender.publish(numbered("order", 50))
    sender.wait(confirms, 10)

    with closing(consuming(at, queue_type)) as second:
        again = receive_acking(second, 3 * COUNT + 50)

    for queue in (Queue.USER, Queue.PRODUCT):
        own = [one for one in again if one.queue == queue]
        assert bodies(own) == [b"%d" % number for number in range(COUNT)]
    counts = {delivery_count(one) for one in again}
    is_counted = queue_type == "quorum" and broker_version != "4.3"
    assert counts <= ({0, 1} if is_counted else {0})


@pytest.mark.parametrize("broker_version", ["3.10"])
def test_to_take_more_while_messages_are_on_their_way_keeps_the_order(
    at: BrokerEndpoint, sender: Publisher
) -> None:
    for _ in range(5):
        with closing(consuming(at, "quorum")) as first:
            send(sender, numbered("order", 500))
            receive(first, 100)
        # Once nothing comes for the second time any more, it takes more than a few.
        with closing(consuming(at, "quorum")) as second:
            taken = receive_acking(second, 500)
        assert bodies(taken) == [b"%d" % number for number in range(500)]


@pytest.mark.parametrize("broker_version", ["4.3"])
def test_any_number_of_stops_is_free_where_the_broker_does_not_count_them(
    at: BrokerEndpoint, sender: Publisher
) -> None:
    with closing(consuming(at, "quorum")) as consumer:
        send(sender, numbered("order", 20))
        receive(consumer, 20)
    for _ in range(30):
        with closing(consuming(at, "quorum")) as consumer:
            receive(consumer, 20)

    with closing(consuming(at, "quorum")) as consumer:
        again = receive(consumer, 20)

    assert {delivery_count(one) for one in again} == {0}
