"""Taking deliveries from a real broker, and giving them back."""

import time
from typing import Any

import pytest

from orderd.amqp.consumer import Consumer
from orderd.amqp.endpoint import BrokerEndpoint
from orderd.amqp.faults import BrokerFault, DeliveriesLost, TopologyMismatch
from orderd.amqp.intake import CAUTIOUS_PREFETCH
from orderd.amqp.message import Properties
from orderd.amqp.publisher import Publisher
from orderd.amqp.topology import QueueDepth
from tests.integration.amqp.conftest import Opened
from tests.integration.amqp.steps import (
    LIMIT_S,
    bodies,
    numbered,
    receive,
    receive_acking,
    send,
    to_queue,
)
from tools.rabbitmq import PrivateRabbit
from tools.waiting import wait_until


def test_deliveries_arrive_whole_and_in_order(consumer: Consumer, publisher: Publisher) -> None:
    consumer.connect()
    properties = Properties(message_id="m", reply_to="r", headers={"orderd-attempt": 2})
    send(publisher, [to_queue("order", b"\x00\xff", properties), *numbered("order", 3)])

    first, *rest = receive(consumer, 4)

    assert (first.queue, first.body, first.properties) == ("order", b"\x00\xff", properties)
    assert not first.redelivered
    assert bodies(rest) == [b"0", b"1", b"2"]


def test_it_is_ready_only_while_it_consumes_from_every_queue(consumer: Consumer) -> None:
    seen = [consumer.is_ready]
    for change in (consumer.connect, consumer.cancel, consumer.connect, consumer.close):
        change()
        seen.append(consumer.is_ready)

    assert seen == [False, True, False, True, False]


def test_a_poll_returns_as_soon_as_something_came(consumer: Consumer, publisher: Publisher) -> None:
    consumer.connect()
    send(publisher, numbered("user", 1))
    began = time.monotonic()

    consumer.poll(120)

    assert time.monotonic() - began < 60
    assert len(consumer.inbox) == 1


def test_an_idle_poll_waits_and_an_idle_fill_does_not(consumer: Consumer) -> None:
    consumer.connect()
    began = time.monotonic()
    consumer.poll(0.5)
    polled = time.monotonic()
    for _ in range(1_000):
        consumer.fill(200)

    assert polled - began >= 0.45
    # Even 10 ms for each of them would be as long.
    assert time.monotonic() - polled < 10


def test_a_loaded_queue_gives_full_batches(consumer: Consumer, publisher: Publisher) -> None:
    consumer.connect()
    consumer.close()
    send(publisher, [to_queue("order", b"%0400d" % number) for number in range(1000)])
    consumer.connect()
    taken = 0
    batches = 0

    while taken < 1000:
        if not consumer.inbox:
            consumer.poll(5)
        consumer.fill(200)
        with consumer.inbox.lease(200) as batch:
            consumer.inbox.release(batch)
            consumer.ack(batch)
        taken += len(batch)
        batches += 1

    assert batches <= 20


def test_unacked_deliveries_are_limited_per_queue(
    opened: Opened, endpoint: BrokerEndpoint, publisher: Publisher
) -> None:
    consumer = opened.consumer(endpoint, prefetch=3)
    consumer.connect()
    send(publisher, numbered("user", 10) + numbered("order", 10))

    for _ in range(5):
        consumer.poll(0.1)

    assert sorted(one.queue for one in consumer.inbox) == ["order"] * 3 + ["user"] * 3


def test_reading_stops_when_the_inbox_holds_too_many_bytes(
    opened: Opened, endpoint: BrokerEndpoint, publisher: Publisher
) -> None:
    consumer = opened.consumer(endpoint, inbox_bytes_max=300_000)
    consumer.connect()
    send(publisher, [to_queue("user", b"x" * 50_000)] * 100)

    wait_until(lambda: _is_full(consumer, 300_000), timeout_s=LIMIT_S, what="a full inbox")
    for _ in range(20):
        consumer.fill(100)
    consumer.poll(0.1)

    assert 300_000 <= sum(len(one.body) for one in consumer.inbox) < 800_000


def _is_full(consumer: Consumer, body_bytes: int) -> bool:
    consumer.fill(100)
    return sum(len(one.body) for one in consumer.inbox) >= body_bytes


def test_acked_messages_are_gone_and_others_are_not(
    consumer: Consumer, publisher: Publisher
) -> None:
    consumer.connect()
    send(publisher, numbered("user", 10))
    taken = receive(consumer, 10)

    consumer.ack(taken[:4])
    consumer.ack([taken[8], taken[6]])
    consumer.connect()

    again = receive(consumer, 4)
    assert bodies(again) == [b"4", b"5", b"7", b"9"]
    assert all(one.redelivered for one in again)
    assert consumer.depth("user") == QueueDepth(ready=0, consumers=1)


def test_an_ack_is_on_its_way_when_it_returns(
    consumer: Consumer, publisher: Publisher, private_rabbit: PrivateRabbit, vhost: str
) -> None:
    consumer.connect()
    send(publisher, numbered("user", 3))

    consumer.ack(receive(consumer, 3))

    # Nothing services the consumer's connection from here on.
    listed = private_rabbit.ctl("list_queues", "-p", vhost, "name", "messages")
    assert "user\t0" in listed


def test_deliveries_of_an_earlier_connection_are_neither_acked_nor_requeued(
    consumer: Consumer, publisher: Publisher
) -> None:
    consumer.connect()
    send(publisher, numbered("user", 2))
    stale = receive(consumer, 2)
    consumer.connect()
    fresh = receive(consumer, 2)

    consumer.ack(stale)
    consumer.requeue(stale)

    assert [*map(consumer.holds, stale + fresh)] == [False, False, True, True]
    assert consumer.depth("user").ready == 0
    consumer.ack(fresh)
    consumer.connect()
    consumer.poll(0.3)
    assert not consumer.inbox


@pytest.mark.parametrize("queue_type", ["classic", "quorum"])
def test_a_drain_gives_everything_back_in_order(
    opened: Opened, endpoint: BrokerEndpoint, publisher: Publisher, queue_type: str
) -> None:
    consumer = opened.consumer(endpoint, prefetch=100, queue_type=queue_type)
    consumer.connect()
    send(publisher, numbered("order", 300))
    taken = receive(consumer, 100)

    consumer.cancel()
    consumer.ack(taken[:10])
    consumer.poll(0.2)
    # What was taken with care at first comes on top of the prefetch.
    assert consumer.depth("order").ready == 200 - CAUTIOUS_PREFETCH
    consumer.connect()

    again = receive_acking(consumer, 100)
    assert bodies(again) == [b"%d" % number for number in range(10, 110)]


@pytest.mark.parametrize("queue_type", ["classic", "quorum"])
def test_requeued_deliveries_come_back_in_order(
    opened: Opened, endpoint: BrokerEndpoint, publisher: Publisher, queue_type: str
) -> None:
    consumer = opened.consumer(endpoint, prefetch=20, queue_type=queue_type)
    consumer.connect()
    send(publisher, numbered("order", 30))
    taken = receive(consumer, 20)

    consumer.cancel()
    consumer.requeue(taken[15:])
    consumer.ack(taken[:10])
    consumer.requeue(taken[10:15])
    wait_until(lambda: consumer.depth("order").ready == 20, timeout_s=LIMIT_S, what="20 are back")
    consumer.connect()

    # A quorum queue without a delivery limit puts them behind the others: so among themselves.
    again = [int(one.body) for one in receive(consumer, 20)]
    assert sorted(again) == list(range(10, 30))
    assert [one for one in again if 10 <= one < 15] == [10, 11, 12, 13, 14]
    assert [one for one in again if 15 <= one < 20] == [15, 16, 17, 18, 19]
    assert queue_type == "quorum" or again == list(range(10, 30))


def test_what_arrives_while_cancelling_is_not_lost(
    consumer: Consumer, publisher: Publisher
) -> None:
    consumer.connect()
    confirms = publisher.publish(numbered("user", 350))

    consumer.cancel()
    publisher.wait(confirms, 10)
    held = [int(one.body) for one in consumer.inbox]
    consumer.ack(tuple(consumer.inbox))

    consumer.connect()
    later = [int(one.body) for one in receive_acking(consumer, 350 - len(held))]
    assert held + later == list(range(350))


def test_a_deleted_queue_costs_that_queue(
    consumer: Consumer, publisher: Publisher, outside: Any
) -> None:
    consumer.connect()
    send(publisher, numbered("order", 2) + numbered("user", 1))
    taken = receive(consumer, 3)
    consumer.inbox.put_back(taken)
    outside.queue_delete("user")

    wait_until(lambda: polled(consumer).failing, timeout_s=LIMIT_S, what="a queue that fails")

    assert [*consumer.failing] == ["user"]
    assert "cancelled the consumer" in consumer.failing["user"]
    assert [one.queue for one in consumer.inbox] == ["order", "order"]
    assert consumer.is_ready
    with pytest.raises(DeliveriesLost, match="1 deliveries of user"):
        consumer.assert_held(taken)
    consumer.ack(taken)
    wait_until(lambda: not around(consumer).failing, timeout_s=LIMIT_S, what="the queue again")
    assert consumer.depth("user") == QueueDepth(ready=0, consumers=1)
    assert consumer.depth("order") == QueueDepth(ready=0, consumers=1)
    consumer.connect()
    consumer.poll(0.3)
    assert not consumer.inbox


def test_a_channel_closed_by_the_broker_costs_its_queue(
    consumer: Consumer, publisher: Publisher
) -> None:
    consumer.connect()
    send(publisher, numbered("order", 3) + numbered("user", 1))
    taken = receive(consumer, 4)
    # Such a tag the broker does not know on the channel of `order`.
    consumer._intakes._intakes["order"].opened().send(  # noqa: SLF001 - no fault but one of ours
        "basic_ack", delivery_tag=99
    )

    wait_until(lambda: polled(consumer).failing, timeout_s=LIMIT_S, what="a queue that fails")

    assert "406 PRECONDITION_FAILED - unknown delivery tag 99" in consumer.failing["order"]
    consumer.ack(taken)
    wait_until(lambda: not around(consumer).failing, timeout_s=LIMIT_S, what="the queue again")
    again = receive(consumer, 3)
    assert [(one.queue, one.redelivered) for one in again] == [("order", True)] * 3
    assert consumer.depth("user") == QueueDepth(ready=0, consumers=1)


def test_a_question_about_a_missing_queue_costs_nothing(
    consumer: Consumer, publisher: Publisher
) -> None:
    consumer.connect()
    send(publisher, numbered("order", 3))

    assert consumer.depth("nowhere") == QueueDepth(ready=0, consumers=0)

    assert not consumer.failing
    assert bodies(receive(consumer, 3)) == [b"0", b"1", b"2"]


def polled(consumer: Consumer) -> Consumer:
    consumer.poll(0.1)
    return consumer


def around(consumer: Consumer) -> Consumer:
    consumer.poll(0.1)
    consumer.look_around()
    return consumer


def test_a_connection_closed_by_the_broker_is_a_fault(
    consumer: Consumer, publisher: Publisher, private_rabbit: PrivateRabbit, vhost: str
) -> None:
    consumer.connect()
    send(publisher, numbered("order", 3))
    taken = receive(consumer, 1)
    private_rabbit.ctl("close_all_connections", "--vhost", vhost, "by the test")

    with pytest.raises(BrokerFault, match="320 CONNECTION_FORCED - by the test"):
        consumer.ack(taken)

    assert not consumer.inbox
    with pytest.raises(BrokerFault, match="by the test"):
        publisher.pump()
    consumer.connect()
    assert bodies(receive(consumer, 3)) == [b"0", b"1", b"2"]


def test_the_depth_counts_what_is_ready_and_who_consumes(
    consumer: Consumer, publisher: Publisher, outside: Any
) -> None:
    consumer.connect()
    outside.queue_declare("elsewhere")
    send(publisher, numbered("elsewhere", 7))

    assert consumer.depth("elsewhere") == QueueDepth(ready=7, consumers=0)
    assert consumer.depth("user") == QueueDepth(ready=0, consumers=1)


def test_few_are_taken_while_some_come_again(
    opened: Opened, endpoint: BrokerEndpoint, publisher: Publisher
) -> None:
    consumer = opened.consumer(endpoint)
    consumer.connect()
    send(publisher, numbered("order", 300))
    receive(consumer, 300)

    consumer.connect()
    again = receive(consumer, CAUTIOUS_PREFETCH)
    consumer.fill(300)

    assert all(one.redelivered for one in again)
    assert not consumer.inbox
    assert bodies(again) == [b"%d" % number for number in range(CAUTIOUS_PREFETCH)]


def test_what_nears_its_delivery_limit_is_set_apart(
    opened: Opened, endpoint: BrokerEndpoint, publisher: Publisher
) -> None:
    consumer = opened.consumer(endpoint, queue_type="quorum")
    consumer.connect()
    send(publisher, numbered("order", 1))
    receive(consumer, 1)

    for _ in range(3):
        consumer.close()
        consumer.connect()
        wait_until(lambda: _has_one(consumer), timeout_s=LIMIT_S, what="the message again")

    assert not consumer.inbox
    assert bodies(tuple(consumer.inbox.worn)) == [b"0"]


def _has_one(consumer: Consumer) -> bool:
    consumer.poll(0.1)
    return len(consumer.inbox) + len(consumer.inbox.worn) == 1


@pytest.mark.parametrize(
    ("how", "difference"),
    [
        ({"arguments": {"x-queue-type": "stream"}}, "x-queue-type.*stream"),
        (
            {"arguments": {"x-queue-type": "stream", "x-max-age": "7D", "x-max-length-bytes": 10}},
            "x-queue-type.*stream",
        ),
        ({"durable": False}, "durable.*false"),
        ({"auto_delete": True}, "auto_delete.*true"),
    ],
)
def test_a_command_queue_that_cannot_keep_commands_is_refused(
    consumer: Consumer, outside: Any, how: dict[str, Any], difference: str
) -> None:
    outside.queue_declare("product", **({"durable": True} | how))

    with pytest.raises(TopologyMismatch, match=f"queue product cannot be used: .*{difference}"):
        consumer.connect()


def test_big_bodies_are_taken_a_few_at_a_time(consumer: Consumer, publisher: Publisher) -> None:
    consumer.connect()
    send(publisher, [to_queue("user", b"x" * 50_000)] * 100)

    # Nothing waits any more, and nothing of it is settled yet.
    receive(consumer, CAUTIOUS_PREFETCH)
    for _ in range(5):
        consumer.fill(200)
        consumer.poll(0.1)

    assert list(consumer.inbox) == []


def test_of_too_many_bytes_in_hand_most_go_back_and_come_again(
    opened: Opened, endpoint: BrokerEndpoint, publisher: Publisher
) -> None:
    consumer = opened.consumer(endpoint, inbox_bytes_max=1_000_000)
    consumer.connect()
    send(publisher, numbered("user", CAUTIOUS_PREFETCH))
    small = receive(consumer, CAUTIOUS_PREFETCH)
    consumer.fill(200)
    consumer.ack(small)
    big = [b"%d" % number + b"x" * 50_000 for number in range(100)]

    send(publisher, [to_queue("user", body) for body in big])

    def is_few() -> bool:
        consumer.fill(200)
        return consumer.depth("user").ready >= len(big) - CAUTIOUS_PREFETCH

    wait_until(is_few, timeout_s=LIMIT_S, what="most of them back in their queue")
    assert bodies(receive_acking(consumer, len(big))) == big
