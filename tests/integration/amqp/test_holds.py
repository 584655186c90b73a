"""Queues from which nothing is taken for now, on a real broker."""

from typing import Any

import pytest

from orderd.amqp.consumer import Consumer
from orderd.amqp.endpoint import BrokerEndpoint
from orderd.amqp.publisher import Publisher
from orderd.protocol.names import Queue
from tests.integration.amqp.conftest import Opened
from tests.integration.amqp.steps import bodies, numbered, receive, send
from tools.waiting import wait_until


@pytest.fixture(params=["classic", "quorum"])
def consumer(request: pytest.FixtureRequest, endpoint: BrokerEndpoint, opened: Opened) -> Consumer:
    return opened.consumer(endpoint, queue_type=request.param, prefetch=10)


def settle_one(consumer: Consumer) -> bytes:
    """Take, end the sample, and ack, in the daemon's order; return the body."""
    (delivery,) = receive(consumer, 1)
    consumer.end_samples()
    consumer.ack([delivery])
    return delivery.body


def ready(outside: Any, queue: str) -> int:
    return int(outside.queue_declare(queue, passive=True).method.message_count)


def test_what_was_delivered_can_be_settled_and_the_rest_stays(
    consumer: Consumer, publisher: Publisher, outside: Any
) -> None:
    consumer.connect()
    send(publisher, numbered("order", 25))
    taken = receive(consumer, 10)

    consumer.hold({"order"})
    consumer.ack(taken)
    send(publisher, numbered("user", 3))

    assert bodies(receive(consumer, 3)) == [b"0", b"1", b"2"]
    wait_until(lambda: ready(outside, "order") == 15, timeout_s=10, what="15 messages left")
    assert consumer.is_ready
    assert "order" not in consumer.consumers
    consumer.hold(())
    rest = receive(consumer, 10)
    assert bodies(rest) == [b"%d" % number for number in range(10, 20)]
    assert not any(delivery.redelivered for delivery in rest)


def test_it_lasts_through_a_new_connection(consumer: Consumer, publisher: Publisher) -> None:
    consumer.hold({"order"})
    consumer.connect()
    send(publisher, numbered("order", 1))
    consumer.close()
    consumer.connect()
    consumer.poll(0.5)

    assert consumer.is_ready
    assert not consumer.inbox
    consumer.hold(())
    assert bodies(receive(consumer, 1)) == [b"0"]


def test_all_queues_can_be_held(consumer: Consumer, publisher: Publisher) -> None:
    consumer.connect()
    consumer.hold(set(Queue))
    send(publisher, numbered("user", 1))
    consumer.poll(0.5)
    consumer.look_around()

    assert consumer.is_ready
    assert not consumer.inbox
    consumer.hold({"order"})
    assert bodies(receive(consumer, 1)) == [b"0"]


@pytest.mark.parametrize("is_connected_first", [True, False])
def test_a_sample_is_one_message(
    consumer: Consumer, publisher: Publisher, outside: Any, *, is_connected_first: bool
) -> None:
    if is_connected_first:
        consumer.connect()
    consumer.hold({"order"})
    consumer.connect()
    send(publisher, numbered("order", 5))

    for number in range(2):
        consumer.sample("order")
        assert set(consumer.sampled) == {"order"}
        assert settle_one(consumer) == b"%d" % number
        assert not consumer.sampled
        consumer.poll(0.3)
        assert not consumer.inbox

    assert consumer.is_idle("order")
    wait_until(lambda: ready(outside, "order") == 3, timeout_s=10, what="three messages left")
    consumer.hold(())
    assert bodies(receive(consumer, 3)) == [b"2", b"3", b"4"]


def test_a_sample_of_an_empty_queue_ends(consumer: Consumer, publisher: Publisher) -> None:
    consumer.connect()
    consumer.hold({"order"})
    consumer.sample("order")
    consumer.end_samples()
    assert set(consumer.sampled) == {"order"}

    consumer.end_samples({"order"})
    send(publisher, numbered("order", 1))
    consumer.poll(0.5)

    assert not consumer.sampled
    assert not consumer.inbox


def test_a_held_queue_that_is_deleted_costs_the_others_nothing(
    consumer: Consumer, publisher: Publisher, outside: Any
) -> None:
    consumer.connect()
    consumer.hold({"order"})
    outside.queue_delete("order")
    send(publisher, numbered("user", 1))
    assert bodies(receive(consumer, 1)) == [b"0"]

    consumer.hold(())

    # Its consumer cannot be had; it is declared and consumed again, as any failing queue.
    def is_back() -> bool:
        consumer.look_around()
        consumer.poll(0.1)
        return "order" in consumer.consumers

    wait_until(is_back, timeout_s=20, what="the queue consumed again")


def test_a_queue_is_consumed_in_full_once_it_is_released_in_a_sample(
    consumer: Consumer, publisher: Publisher
) -> None:
    consumer.connect()
    consumer.hold({"order"})
    send(publisher, numbered("order", 10))
    consumer.sample("order")
    receive(consumer, 1)

    consumer.hold(())

    assert bodies(receive(consumer, 9)) == [b"%d" % number for number in range(1, 10)]
    assert consumer.consumers["order"] == 1
