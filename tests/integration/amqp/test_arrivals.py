"""What an order refers to may still arrive: asked of a real broker."""

from collections.abc import Iterator
from typing import Any

import pytest

from orderd.amqp.consumer import Consumer
from orderd.contract.names import Queue
from orderd.daemon.arrivals import Arrivals
from tests.integration.amqp.conftest import RETRY_DELAYS_S
from tests.integration.amqp.steps import receive
from tests.support.commands import delivery
from tools.waiting import wait_until

OF_USERS = delivery("user", b"{}")


@pytest.fixture
def arrivals(consumer: Consumer) -> Iterator[Arrivals]:
    consumer.connect()
    yield Arrivals(consumer, lambda: RETRY_DELAYS_S)
    # Asking must not have cost the channel.
    assert consumer.is_ready


def put(outside: Any, queue: str) -> None:
    outside.confirm_delivery()
    outside.basic_publish("", queue, b"{}", mandatory=True)


def test_nothing_arrives_where_nothing_waits(arrivals: Arrivals) -> None:
    assert arrivals.queues(list) == frozenset()


@pytest.mark.parametrize("delay", ["5s", "30s", "5min"])
def test_a_message_in_a_retry_queue_may_still_arrive(
    arrivals: Arrivals, outside: Any, delay: str
) -> None:
    put(outside, f"product.retry.{delay}")

    assert arrivals.queues(list) == {Queue.PRODUCT}


def test_a_message_that_the_broker_does_not_count_may_still_arrive(
    arrivals: Arrivals, consumer: Consumer, outside: Any
) -> None:
    # As between the end of its delay and its arrival.
    consumer.underway.note_sent(delivery("user", b"{}"), 5.0)

    assert arrivals.queues(list) == {Queue.USER}

    put(outside, "user")
    receive(consumer, 1)
    assert arrivals.queues(list) == frozenset()


def test_a_message_in_hand_may_still_arrive(arrivals: Arrivals) -> None:
    assert arrivals.queues(lambda: [OF_USERS, delivery("order", b"{}")]) == {Queue.USER}


def test_a_queue_that_somebody_else_reads_as_well_may_still_bring_something(
    arrivals: Arrivals, outside: Any
) -> None:
    outside.basic_consume("product", lambda *_: None)

    assert arrivals.queues(list) == {Queue.PRODUCT}


def test_a_message_that_is_ready_may_still_arrive(
    arrivals: Arrivals, consumer: Consumer, outside: Any
) -> None:
    consumer.cancel()
    put(outside, "user")

    # Nobody else consumes; the broker counts what was routed soon after it confirmed it.
    wait_until(
        lambda: consumer.depth("user").ready == 1, timeout_s=10, what="a message that is ready"
    )
    assert arrivals.queues(list) == {Queue.USER}
    outside.queue_purge("user")
    consumer.connect()


def test_what_was_delivered_here_is_no_longer_ready(
    arrivals: Arrivals, consumer: Consumer, outside: Any
) -> None:
    put(outside, "user")
    (received,) = receive(consumer, 1)

    assert arrivals.queues(list) == frozenset()
    assert arrivals.queues(lambda: [received]) == {Queue.USER}


def test_a_message_that_comes_while_the_broker_is_asked_is_found(
    arrivals: Arrivals, consumer: Consumer, outside: Any
) -> None:
    # With the broker, delivered, and not read here yet.
    put(outside, "user")

    assert not consumer.inbox
    assert arrivals.queues(lambda: consumer.inbox) == {Queue.USER}
