"""What is taken from one queue, on a channel of its own."""

import time
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

from orderd.amqp.channel import Channel
from orderd.amqp.unacked import Unacked

Arrive = Callable[["Intake", Any, Any, bytes], None]


class Intake:
    """A consumer of *queue*; `place` tells its tags from those of the other channels.

    The broker counts deliveries by channel, so a delivery's own tag is made of both numbers.
    """

    def __init__(self, queue: str, place: int, places: int, channel: Channel) -> None:
        self.queue = queue
        self.channel = channel
        self.is_cautious = False
        self.is_outdated = False
        self.is_exclusive = False
        self.unacked = Unacked()
        self.redelivered: set[int] = set()
        self.consumer_tag: str | None = None
        self.settled_s = 0.0
        self._prefetch = 0
        self._last_tag = self._tag_before = 0
        self._place, self._places = place, places
        self._numbers = count(1)

    @property
    def is_full(self) -> bool:
        """Whether the broker may send nothing more, so that nothing can be on its way."""
        return self.unacked.newer_than(self._tag_before) >= self._prefetch

    def consume(self, prefetch: int, on_arrival: Arrive) -> None:
        """Have the broker deliver, at most *prefetch* at a time; raises BrokerFault."""
        # The broker gives each consumer the limit that was set last before it began.
        self.channel.call("basic_qos", prefetch_count=prefetch)
        self._prefetch, self._tag_before = prefetch, self._last_tag
        # Never the same tag again: over that RabbitMQ 3.10 crashes a quorum queue's channel.
        consumer_tag = f"orderd.{self.queue}.{next(self._numbers)}"
        self.channel.call(
            "basic_consume",
            queue=self.queue,
            consumer_tag=consumer_tag,
            exclusive=self.is_exclusive,
            on_message_callback=lambda _raw, method, found, body: on_arrival(
                self, method, found, body
            ),
        )
        self.consumer_tag = consumer_tag

    def cancel(self) -> None:
        """Have the broker deliver no more; what it delivered can still be settled."""
        self.channel.call("basic_cancel", consumer_tag=self.consumer_tag)
        self.consumer_tag = None

    def admit(self, method: Any) -> int:
        """Note a delivery as unacked, and return its tag."""
        tag = int(method.delivery_tag) * self._places + self._place
        self._last_tag = tag
        self.unacked.add(tag)
        if method.redelivered:
            self.redelivered.add(tag)
        return tag

    def settle(self, tags: Sequence[int], send: Callable[[Any, int, bool], None]) -> None:
        """Settle *tags* in as few steps as the broker allows; *send* puts one on its way."""
        for tag, multiple in self.unacked.settle(tags):
            send(self.channel.raw, tag // self._places, multiple)
        self.settled_s = time.monotonic()
        self.redelivered.difference_update(tags)

    def void(self) -> None:
        """Forget what is unacked: the channel is gone."""
        self.unacked.clear()
        self.redelivered.clear()
