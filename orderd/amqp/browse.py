"""Looks at what lies in queues: AMQP has no browsing, so messages are taken and given back."""

import contextlib
from collections.abc import Sequence
from typing import Any

import pika.exceptions
from pika import spec

from orderd.amqp.channel import CALL_TIMEOUT_S
from orderd.amqp.faults import BrokerFault
from orderd.amqp.link import Link
from orderd.amqp.message import Delivery


class Browser:
    """Takes messages one at a time, without prefetch, on a channel of its own on *link*.

    What is neither acked nor given back stays with the broker, unacked: nobody else gets it, and
    it costs no memory here. It goes back when the connection is lost, whatever happens.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._channel = link.open_channel()
        self._channel.raw.add_callback(self._on_empty, [spec.Basic.GetEmpty], one_shot=False)
        self._queue = ""
        self._answers: list[Delivery | None] = []

    def take(self, queue: str) -> Delivery | None:
        """Return the message at the head of *queue*, None where there is none; raise BrokerFault.

        A queue that does not exist closes the channel: ChannelFault.
        """
        self._queue = queue
        self._answers.clear()
        self._channel.raise_if_closed()
        try:
            self._channel.raw.basic_get(queue, self._on_message)
        except pika.exceptions.AMQPError as error:
            raise BrokerFault(f"{self._link.where}: basic_get: {error}") from error
        self._link.run_until(self._is_answered, CALL_TIMEOUT_S, f"looking into {queue}")
        return self._answers[0]

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        """Take *deliveries* out of their queues for good."""
        self._channel.raise_if_closed()
        for delivery in deliveries:
            self._channel.raw.basic_ack(delivery.tag)
        # pika only buffers: this turn hands it to the socket.
        self._link.run(0)

    def give_back(self) -> None:
        """Put all that was not acked back to its old place, and take no more; never raises."""
        # Where this fails the connection is lost, and by that everything went back.
        with contextlib.suppress(BrokerFault, pika.exceptions.AMQPError):
            # Not by nack: a quorum queue without a delivery limit puts at its end what is nacked.
            self._channel.close()

    def _is_answered(self) -> bool:
        self._channel.raise_if_closed()
        return bool(self._answers)

    def _on_message(self, _raw: Any, method: Any, found: Any, body: bytes) -> None:
        self._answers.append(
            Delivery(self._queue, body, found.decoded, method.delivery_tag, 0, method.redelivered)
        )
        self._link.wake()

    def _on_empty(self, _frame: Any) -> None:
        self._answers.append(None)
        self._link.wake()
