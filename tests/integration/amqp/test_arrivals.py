"""What an order refers to may still arrive: asked of a real broker."""

from collections.abc import Iterator
from typing import Any

import pytest

from orderd.amqp.consumer import Consumer
from orderd.amqp.message import Delivery
from orderd.pipeline.arrivals import Arrivals
from orderd.protocol.names import Queue
from tests.integration.amqp.steps import receive
from tests.support.commands import delivery
from tests.support.policies import policy
from tools.waiting import wait_until

OF_USERS = delivery("user", b"{}")


@pytest.fixture
def retried() -> list[Delivery]:
    """What is on its way to a retry queue."""
    return []


@pytest.fixture
def arrivals(consumer: Consumer, retried: list[Delivery]) -> Iterator[Arrivals]:
    consumer.connect()
    yield Arrivals(consumer, policy(), lambda: retried)
    # Asking must not have cost the channel.
    assert consumer.is_ready


def put(outside: Any, queue: str) -> None:
    outside.confirm_delivery()
    outside.basic_publish("", queue, b"{}", mandatory=True)


def test_nothing_arrives_where_nothing_waits(arrivals: Arrivals) -> None:
    assert arrivals.queues([]) == frozenset()


@pytest.mark.parametrize("delay", ["5s", "30s", "5min"])
def test_a_message_in_a_retry_queue_may_still_arrive(
    arrivals: Arrivals, outside: Any, delay: str
) -> None:
    put(outside, f"product.retry.{delay}")

    assert arrivals.queues([]) == {Queue.PRODUCT}


def test_a_message_that_the_broker_does_not_count_may_still_arrive(
    arrivals: Arrivals, consumer: Consumer, outside: Any
) -> None:
    # As between the end of its delay and its arrival.
    consumer.in_flight.note_sent(delivery("user", b"{}"), 5.0)

    assert arrivals.queues([]) == {Queue.USER}

    put(outside, "user")
    receive(consumer, 1)
    assert arrivals.queues([]) == frozenset()


def test_a_message_on_its_way_to_a_retry_queue_may_still_arrive(
    arrivals: Arrivals, retried: list[Delivery]
) -> None:
    retried += [OF_USERS, delivery("order", b"{}")]

    assert arrivals.queues([]) == {Queue.USER}


def test_a_message_on_lease_may_still_arrive_unless_it_is_being_tried(
    arrivals: Arrivals, consumer: Consumer, outside: Any
) -> None:
    put(outside, "user")
    wait_until(lambda: polled(consumer) == 1, timeout_s=10, what="the first delivery")
    put(outside, "product")
    wait_until(lambda: polled(consumer) == 2, timeout_s=10, what="the second delivery")

    with consumer.inbox.lease(2) as deliveries:
        assert arrivals.queues(deliveries[:1]) == {Queue.PRODUCT}


def polled(consumer: Consumer) -> int:
    consumer.poll(0.1)
    return len(consumer.inbox)


def test_a_queue_that_somebody_else_reads_as_well_may_still_bring_something(
    arrivals: Arrivals, outside: Any
) -> None:
    outside.basic_consume("product", lambda *_: None)

    assert arrivals.queues([]) == {Queue.PRODUCT}


def test_a_message_that_is_ready_may_still_arrive(
    arrivals: Arrivals, consumer: Consumer, outside: Any
) -> None:
    consumer.cancel()
    put(outside, "user")

    # Nobody else consumes; the broker counts what was routed soon after it confirmed it.
    wait_until(
        lambda: consumer.depth("user").ready == 1, timeout_s=10, what="a message that is ready"
    )
    assert arrivals.queues([]) == {Queue.USER}
    outside.queue_purge("user")
    consumer.connect()


def test_what_was_delivered_here_is_no_longer_ready(
    arrivals: Arrivals, consumer: Consumer, outside: Any
) -> None:
    put(outside, "user")
    receive(consumer, 1)

    assert arrivals.queues([]) == frozenset()


def test_a_message_that_comes_while_the_broker_is_asked_is_found(
    arrivals: Arrivals, consumer: Consumer, outside: Any
) -> None:
    # With the broker, delivered, and not read here yet.
    put(outside, "user")

    assert not consumer.inbox
    assert arrivals.queues([]) == {Queue.USER}
