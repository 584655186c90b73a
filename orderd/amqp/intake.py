"""What is taken from one queue, on a channel of its own."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import count
from typing import Any, Final

from orderd.amqp.connection import Channel, Connection
from orderd.amqp.faults import BrokerFault
from orderd.amqp.unacked import Unacked

# Queue, delivery tag, the tag's generation, and pika's method, properties and body.
Arrive = Callable[["Intake", int, Any, Any, bytes], None]
Send = Callable[[Channel, int, bool], None]
# Whatever ends the connection counts against every unacked message: so while some of them are
# there for a second time, few are taken.
CAUTIOUS_PREFETCH: Final = 20
_FIRST_DELAY_S: Final = 1.0
_DELAY_S_MAX: Final = 60.0
# Each try at a message that the broker fails at counts, so there are few.
_SUSPECT_DELAY_S_MAX: Final = 3_600.0
# So many bytes of bodies in few messages, and more are not taken at a time.
_HEAVY_BYTES: Final = 800 * 1024
# How long few are taken of a queue after much had to go back to it.
_FEW_S: Final = 60.0
_generations = count(1)


class Intake:
    """A consumer of *queue*, if it can be had; its faults affect no other queue.

    Its deliveries have tags out of *tags*, which are unique among all queues and channels. They
    are held until they are settled, or the channel is lost: `generation` counts the channels.
    """

    def __init__(self, queue: str, tags: Iterator[int]) -> None:
        self.queue = queue
        self.channel: Channel | None = None
        self.generation = 0
        self.is_cautious = False
        self.is_outdated = False
        self.unacked = Unacked()
        self.redelivered: set[int] = set()
        self.consumer_tag: str | None = None
        self.settled_s = 0.0
        self.try_at_s = 0.0
        # Over the head of this queue the broker has closed a connection.
        self.is_suspect = False
        # Nothing is taken for now, or only one at a time; and no more than a few until then.
        self.is_paused = False
        self.is_slow = False
        self.is_few_until_s = 0.0
        self._delay_s = 0.0
        self._is_exclusive = False
        self._prefetch = 0
        self._last_tag = self._tag_before = 0
        self._tags = tags
        self._numbers = count(1)

    @property
    def is_taken(self) -> bool:
        """Whether the broker delivers from the queue, as far as is known."""
        return self.consumer_tag is not None

    @property
    def is_full(self) -> bool:
        """Whether the broker may send nothing more, so that nothing can be on its way."""
        return self.unacked.newer_than(self._tag_before) >= self._prefetch

    @property
    def may_open_up(self) -> bool:
        """Whether more may be taken at a time: all that can be on its way is here, and small.

        What comes back stands at the head of its queue, so what comes first tells.
        """
        is_light = self.unacked.body_bytes <= _HEAVY_BYTES
        return self.is_full and is_light and time.monotonic() >= self.is_few_until_s

    @property
    def loss(self) -> str | None:
        """Why the channel or its consumer is lost, None while they are there or not wanted."""
        if self.channel is None:
            return None
        try:
            self.channel.raise_if_closed()
        except BrokerFault as fault:
            return str(fault)
        # pika does not say that the broker has cancelled a consumer: it just is no longer there.
        if self.is_taken and self.consumer_tag not in self.channel.raw.consumer_tags:
            return f"{self.channel.connection.where}: the broker cancelled the consumer"
        return None

    def open(self, connection: Connection, *, is_exclusive: bool) -> None:
        """Have a channel on *connection* to `consume` on; raises BrokerFault."""
        self.channel = connection.open_channel()
        self.generation = next(_generations)
        self._is_exclusive = is_exclusive

    def consume(self, prefetch: int, on_arrival: Arrive) -> None:
        """Have the broker deliver, at most *prefetch* at a time, fewer with caution.

        Raises BrokerFault.
        """
        self.is_paused = False
        if self.is_cautious:
            prefetch = min(prefetch, CAUTIOUS_PREFETCH)
        if self.is_suspect or self.is_slow:
            prefetch = 1
        channel = self.opened()
        # The broker gives each consumer the limit that was set last before it began.
        channel.call("basic_qos", prefetch_count=prefetch)
        self._prefetch, self._tag_before = prefetch, self._last_tag
        # Never the same tag again: over that RabbitMQ 3.10 crashes a quorum queue's channel.
        self.consumer_tag = channel.call(
            "basic_consume",
            queue=self.queue,
            consumer_tag=f"orderd.{self.queue}.{next(self._numbers)}",
            exclusive=self._is_exclusive,
            on_message_callback=lambda _raw, method, found, body: on_arrival(
                self, self._admit(method, len(body)), method, found, body
            ),
        )

    def cancel(self) -> None:
        """Have the broker deliver no more; what it delivered can still be settled."""
        consumer_tag, self.consumer_tag = self.consumer_tag, None
        self.opened().call("basic_cancel", consumer_tag=consumer_tag)

    def probe(self) -> None:
        """Ask the broker, where it was silent for long, whether it knows the channel's connection.

        Where it does not answer, `loss` tells.
        """
        channel = self.opened()
        if channel.connection.is_silent:
            with suppress(BrokerFault):
                channel.call("basic_qos", prefetch_count=self._prefetch)

    def pause(self) -> None:
        """Take nothing until `consume`, and few at a time for a while then."""
        self.is_paused = self.is_cautious = True
        self.is_few_until_s = time.monotonic() + _FEW_S

    def settle(self, tags: Sequence[int], send: Send) -> None:
        """Settle *tags* in as few steps as the broker allows; *send* puts one on its way.

        Those that are held no more are left out. Raises BrokerFault.
        """
        if steps := self.unacked.settle(tags):
            channel = self.opened()
            for tag, multiple in steps:
                send(channel, tag, multiple)
            self.settled_s = time.monotonic()
            self._delay_s = 0.0
            self.is_suspect = False
            self.redelivered.difference_update(tags)

    def opened(self) -> Channel:
        """Return the channel, or raise BrokerFault."""
        if self.channel is None:
            raise BrokerFault(f"queue {self.queue}: no channel")
        return self.channel

    def drop(self) -> None:
        """Leave the queue: the broker redelivers the unacked messages, here or elsewhere."""
        channel, self.channel = self.channel, None
        self.consumer_tag = None
        self.is_paused = self.is_slow = False
        self.unacked.clear()
        self.redelivered.clear()
        if channel is not None:
            # Not only for tidiness: to a consumer that is gone the broker may go on delivering.
            with suppress(BrokerFault):
                channel.close()

    def back_off(self) -> None:
        """Try again later, and ever later while nothing is settled in between."""
        longest_s = _SUSPECT_DELAY_S_MAX if self.is_suspect else _DELAY_S_MAX
        self._delay_s = min(max(_FIRST_DELAY_S, 2 * self._delay_s), longest_s)
        self.try_at_s = time.monotonic() + self._delay_s

    def _admit(self, method: Any, body_bytes: int) -> int:
        self._last_tag = tag = next(self._tags)
        self.unacked.add(tag, method.delivery_tag, body_bytes)
        if method.redelivered:
            self.redelivered.add(tag)
        return tag


def ack(channel: Channel, tag: int, multiple: bool) -> None:  # noqa: FBT001 - as pika has it
    """Have the broker forget the delivery of *tag*, or all up to it that are open."""
    channel.send("basic_ack", delivery_tag=tag, multiple=multiple)


def ack_at_last(channel: Channel, tag: int, multiple: bool) -> None:  # noqa: FBT001 - likewise
    """Ack on a connection that was given up for want of an answer; never raises."""
    channel.send_at_last("basic_ack", delivery_tag=tag, multiple=multiple)


def requeue(channel: Channel, tag: int, multiple: bool) -> None:  # noqa: FBT001 - likewise
    """Give the delivery of *tag*, or all up to it that are open, back to its queue."""
    channel.send("basic_nack", delivery_tag=tag, multiple=multiple, requeue=True)
