"""What many of these tests do."""

import time
from collections.abc import Sequence

from orderd.amqp.consumer import Consumer
from orderd.amqp.message import Delivery, OutgoingMessage, Properties
from orderd.amqp.publisher import Publisher

LIMIT_S = 10.0
PLAIN = Properties()


def to_queue(queue: str, body: bytes, properties: Properties = PLAIN) -> OutgoingMessage:
    return OutgoingMessage("", queue, body, properties, mandatory=True)


def send(publisher: Publisher, messages: Sequence[OutgoingMessage]) -> None:
    """Publish, and insist that the broker took them all."""
    confirms = publisher.publish(messages)
    publisher.wait(confirms, LIMIT_S)
    assert confirms.failed == {}


def numbered(queue: str, count: int) -> list[OutgoingMessage]:
    return [to_queue(queue, b"%d" % number) for number in range(count)]


def receive(consumer: Consumer, count: int) -> list[Delivery]:
    """Take `count` deliveries out of the inbox, in their order."""
    deadline = time.monotonic() + LIMIT_S
    while len(consumer.inbox) < count and time.monotonic() < deadline:
        consumer.poll(0.2)
        consumer.fill(count)
    assert len(consumer.inbox) >= count
    with consumer.inbox.lease(count) as deliveries:
        consumer.inbox.release(deliveries)
    return deliveries


def receive_acking(consumer: Consumer, count: int) -> list[Delivery]:
    """Take so many too, acking each: of redelivered ones the broker sends only a few at a time."""
    taken: list[Delivery] = []
    while len(taken) < count:
        taken += receive(consumer, 1)
        consumer.ack(taken[-1:])
    return taken


def bodies(deliveries: Sequence[Delivery]) -> list[bytes]:
    return [delivery.body for delivery in deliveries]
