"""One daemon at a time consumes a queue, of whatever type, on each version of RabbitMQ."""

from collections.abc import Collection, Iterator
from contextlib import ExitStack, closing

import pika
import pytest

from orderd.amqp import intakes
from orderd.amqp.consumer import Consumer
from orderd.amqp.endpoint import BrokerEndpoint
from orderd.amqp.publisher import Publisher
from orderd.protocol.names import Queue
from orderd.protocol.tenants import ORDERD
from tests.integration.amqp.steps import LIMIT_S, bodies, numbered, receive, receive_acking, send
from tests.support.queue_kinds import KINDS
from tests.support.versions import Broker
from tools.waiting import wait_until


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try each queue at every look."""
    monkeypatch.setattr(intakes, "TRY_AGAIN_S", 0.0)


class Crew:
    """Consumers of one virtual host, all closed at the end."""

    def __init__(self, broker: Broker, stack: ExitStack) -> None:
        self._endpoint = BrokerEndpoint((broker.url,), "orderd-test")
        self._stack = stack
        self.publisher = stack.enter_context(closing(Publisher(self._endpoint)))
        self.publisher.connect()
        connection = stack.enter_context(pika.BlockingConnection(pika.URLParameters(broker.url)))
        self.outside = connection.channel()

    def consumer(self, exclusive: Collection[str] = (Queue.ORDER,)) -> Consumer:
        consumer = Consumer(self._endpoint, ORDERD, 400, (5,), "", exclusive=exclusive)
        self._stack.enter_context(closing(consumer))
        consumer.connect()
        return consumer

    def declare(self, kind: str) -> None:
        self.outside.queue_declare("order", durable=True, arguments=KINDS[kind])


@pytest.fixture
def crew(broker: Broker) -> Iterator[Crew]:
    with ExitStack() as stack:
        yield Crew(broker, stack)


def takes_over(consumer: Consumer) -> bool:
    consumer.look_around()
    consumer.poll(0.05)
    return not (consumer.standing_by or consumer.failing)


@pytest.mark.parametrize("kind", KINDS)
def test_who_stands_by_takes_over_in_order_once_the_other_is_gone(crew: Crew, kind: str) -> None:
    crew.declare(kind)
    first, second = crew.consumer(), crew.consumer()
    assert (dict(first.standing_by), [*second.standing_by]) == ({}, ["order"])
    assert first.is_ready
    assert second.is_ready

    send(crew.publisher, numbered("order", 300))
    taken = receive(first, 100)
    second.look_around()
    second.poll(0.1)
    first.ack(taken[:50])
    first.close()

    wait_until(lambda: takes_over(second), timeout_s=LIMIT_S, what="taking over")
    rest = receive_acking(second, 250)
    assert bodies(rest) == [b"%d" % number for number in range(50, 300)]
    third = crew.consumer()
    assert [*third.standing_by] == ["order"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_drain_keeps_the_others_away_until_all_is_settled(crew: Crew, kind: str) -> None:
    crew.declare(kind)
    first, second = crew.consumer(), crew.consumer()
    send(crew.publisher, numbered("order", 500))
    taken = receive(first, 100)

    first.cancel()
    assert not takes_over(second)
    first.ack(taken)
    assert not takes_over(second)
    left = len(first.inbox)
    first.close()

    wait_until(lambda: takes_over(second), timeout_s=LIMIT_S, what="taking over")
    again = receive_acking(second, 400)
    assert left > 0
    assert bodies(again) == [b"%d" % number for number in range(100, 500)]


def test_to_stand_by_does_no_harm_to_the_other_queues(crew: Crew) -> None:
    crew.consumer()
    second = crew.consumer()
    send(crew.publisher, numbered("user", 5))
    second.fill(5)
    sent = {one.body for one in second.inbox}

    for _ in range(10):
        second.look_around()
        second.poll(0.02)

    held = {one.body for one in second.inbox}
    assert sent <= held
    assert all(second.holds(one) for one in second.inbox)
    second.ack([*second.inbox])
    assert [*second.standing_by] == ["order"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("first_exclusive", [True, False])
def test_the_two_modes_leave_a_queue_to_each_other(
    crew: Crew, kind: str, *, first_exclusive: bool
) -> None:
    crew.declare(kind)
    first = crew.consumer(["order"] if first_exclusive else [])
    second = crew.consumer([] if first_exclusive else ["order"])
    assert [*second.standing_by] == ["order"]

    first.close()

    wait_until(lambda: takes_over(second), timeout_s=LIMIT_S, what="taking over")


@pytest.mark.parametrize("kind", ["classic", "quorum"])
def test_two_that_share_see_each_other(crew: Crew, kind: str) -> None:
    crew.declare(kind)
    first = crew.consumer([])
    second = crew.consumer([])

    assert first.consumers == {"user": 1, "product": 1, "order": 1}
    assert second.consumers == {"user": 2, "product": 2, "order": 2}
    assert not second.standing_by


@pytest.mark.parametrize("exclusive", [[], ["order"]])
def test_a_queue_that_another_program_keeps_to_itself_is_left_to_it(
    crew: Crew, exclusive: list[str]
) -> None:
    crew.declare("classic")
    tag = crew.outside.basic_consume("order", lambda *_: None, exclusive=True)

    consumer = crew.consumer(exclusive)
    assert [*consumer.standing_by] == ["order"]
    crew.outside.basic_cancel(tag)

    wait_until(lambda: takes_over(consumer), timeout_s=LIMIT_S, what="taking over")


def test_a_lock_that_is_deleted_costs_its_queue_and_is_held_anew(
    crew: Crew, broker: Broker
) -> None:
    consumer = crew.consumer()
    send(crew.publisher, numbered("order", 1))
    wait_until(lambda: polled(consumer).inbox, timeout_s=LIMIT_S, what="a delivery")
    broker.rabbit.ctl("delete_queue", "-p", broker.vhost, "order.lock")

    wait_until(lambda: polled(consumer).failing, timeout_s=LIMIT_S, what="a lost lock")

    assert "its lock was deleted" in consumer.failing["order"]
    assert not consumer.inbox
    wait_until(lambda: takes_over(consumer), timeout_s=LIMIT_S, what="the queue again")
    assert [one.redelivered for one in polled(consumer).inbox] == [True]
    assert crew.consumer().standing_by


def polled(consumer: Consumer) -> Consumer:
    consumer.poll(0.1)
    return consumer
