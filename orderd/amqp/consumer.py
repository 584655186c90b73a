"""Takes deliveries from the command queues into an inbox, at the pace of its owner."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain, count, islice
from typing import Any, Final

from orderd.amqp import renewal, topology
from orderd.amqp.channel import Channel
from orderd.amqp.endpoint import BrokerEndpoint
from orderd.amqp.faults import BrokerFault
from orderd.amqp.link import Link, no_slice
from orderd.amqp.message import Delivery
from orderd.amqp.topology import QueueDepth
from orderd.amqp.unacked import Unacked

_INBOX_BYTES_MAX: Final = 32 * 1024 * 1024
# Whatever ends the connection counts against every message in hand: so while some of them are
# there for a second time, few are taken.
CAUTIOUS_PREFETCH: Final = 20
# RabbitMQ 3 shuffles a quorum queue that takes many messages back at once, and counts it; 4.3 keeps
# the order and does not count it. Closing the connection keeps the order everywhere, but counts.
_NACKS_IN_ORDER: Final = (4, 0)
_GIVE_BACK_TIMEOUT_S: Final = 3.0
_SILENCE_S: Final = 1.0
_HEAVY_BYTES: Final = 256 * 1024


class Consumer:
    """Consumes *queues* with manual acks, at most *prefetch* unacked deliveries from each.

    `generation` counts the connections: deliveries of an earlier one can no longer be settled.
    What arrives waits in `inbox`; in `worn` what the broker might drop after a few more deliveries.
    """

    def __init__(
        self,
        endpoint: BrokerEndpoint,
        queues: Sequence[str],
        prefetch: int,
        retry_delays_s: Sequence[float],
        queue_type: str,
        *,
        inbox_bytes_max: int = _INBOX_BYTES_MAX,
    ) -> None:
        self._link = Link(endpoint)
        self._queues = tuple(queues)
        self._prefetch = prefetch
        self._retry_delays_s = tuple(retry_delays_s)
        self._queue_type = queue_type
        self._inbox_bytes_max = inbox_bytes_max
        self._channel: Channel | None = None
        self._consuming: dict[str, str] = {}
        self._numbers = count(1)
        self._cancelled: str | None = None
        self._unacked = Unacked()
        self._redelivered: set[int] = set()
        self._is_cautious = False
        self._connected_s = 0.0
        self.inbox: deque[Delivery] = deque()
        self.worn: deque[Delivery] = deque()
        self.generation = 0

    @property
    def is_ready(self) -> bool:
        """Whether the broker delivers from every queue on the current channel."""
        return (
            self._link.is_open
            and self._channel is not None
            and self._channel.is_open
            and self._cancelled is None
            and len(self._consuming) == len(self._queues)
        )

    def connect(self, on_slice: Callable[[], None] = no_slice) -> None:
        """Connect, declare the topology and start consuming: one attempt over all URLs.

        *on_slice* is called at least once a second. Raises BrokerFault or TopologyMismatch.
        """
        self.close()
        self.generation += 1
        try:
            self._link.open(on_slice)
            topology.declare(self._link, self._retry_delays_s, self._queue_type)
            channel = self._link.open_channel()
            channel.raw.add_on_cancel_callback(self._on_cancelled)
            self._is_cautious = self._prefetch > CAUTIOUS_PREFETCH
            self._unacked = Unacked()
            self._connected_s = time.monotonic()
            self._consume(channel)
        except Exception:
            self.close()
            raise

    def poll(self, timeout_s: float) -> None:
        """Service the connection until something came into the inbox, at most *timeout_s* seconds.

        Raises BrokerFault when the connection, the channel or a consumer is lost. The inbox is
        empty then: the broker delivers again what was in it.
        """
        if self._inbox_bytes() >= self._inbox_bytes_max:
            # The less is read, the more the broker keeps; a turn a second feeds the heartbeat.
            time.sleep(timeout_s)
            timeout_s = 0
        self._serve(timeout_s)

    def fill(self, count: int) -> None:
        """Read on while deliveries are there and fewer than *count* are in the inbox; never wait.

        Raises BrokerFault as `poll` does.
        """
        self._open_up()
        body_bytes = self._inbox_bytes()
        while len(self.inbox) < count and body_bytes < self._inbox_bytes_max:
            before = len(self.inbox)
            self._serve(0)
            if len(self.inbox) == before:
                return
            body_bytes += self._inbox_bytes(before)

    def assert_held(self) -> None:
        """Look whether the deliveries in hand are still ours; raise BrokerFault as `poll` does.

        Also where the broker may have given them to others, and that could not be told.
        """
        self._serve(0)
        if (doubt := self._link.doubt) is not None:
            self._void()
            raise BrokerFault(f"{self._link.where}: {doubt}")

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        """Tell the broker to forget *deliveries*; those of an earlier generation are left out.

        Raises BrokerFault as `poll` does; what was not acked is delivered again.
        """
        self._settle(deliveries, lambda raw, tag, multiple: raw.basic_ack(tag, multiple))

    def requeue(self, deliveries: Sequence[Delivery]) -> None:
        """Give *deliveries* back to their queues, in their order; stale ones are left out."""
        self._settle(deliveries, lambda raw, tag, multiple: raw.basic_nack(tag, multiple, True))

    def depth(self, queue: str) -> QueueDepth:
        """Return how much is waiting in *queue*, and how many consumers it has."""
        try:
            return topology.depth_on(self._open_channel(), queue)
        except BrokerFault:
            self._void()
            raise

    def declare(self) -> None:
        """Declare the topology again, where somebody has deleted some of it.

        Raises BrokerFault and TopologyMismatch.
        """
        topology.declare(self._link, self._retry_delays_s, self._queue_type)

    def change_retry_delays(self, delays_s: Sequence[float]) -> None:
        """Have retry queues for *delays_s*, now and after each connecting.

        Raises TopologyMismatch where one cannot be used, and BrokerFault; all is as before then.
        """
        topology.declare(self._link, delays_s, self._queue_type)
        self._retry_delays_s = tuple(delays_s)

    def change_prefetch(self, prefetch: int) -> None:
        """Let the broker send so many from each queue; what is in hand stays in hand.

        Raises BrokerFault as `poll` does.
        """
        if prefetch == self._prefetch:
            return
        self._prefetch = prefetch
        if not self._is_cautious:
            self._consume_anew()

    def cancel(self) -> None:
        """Take no more: what the broker had sent is in the inbox then, and can still be settled."""
        try:
            for tag in tuple(self._consuming):
                # pika rejects what comes while it waits for the broker's answer, and some brokers
                # count that against the message: so read first what has been sent.
                self._read_dry()
                self._open_channel().call("basic_cancel", consumer_tag=tag)
                del self._consuming[tag]
            self._read_dry()
        except BrokerFault:
            self._void()
            raise

    def close(self) -> None:
        """Close the connection; what is unacked goes back to its queue. Never raises."""
        self._give_back()
        self._void()
        self._channel = None
        self._consuming.clear()
        self._cancelled = None
        self._link.close()

    def _give_back(self) -> None:
        """Give back what is unacked, in its order, and uncounted where the broker has a way."""
        channel = self._channel
        if channel is None or not self._link.is_open or not channel.is_open or self._cancelled:
            return
        # Nobody's slices: who closes has often given up, and must not be told so once more.
        self._link.end_slices(_GIVE_BACK_TIMEOUT_S)
        with suppress(BrokerFault):
            self.cancel()
            if self._unacked and self._link.version >= _NACKS_IN_ORDER:
                channel.raw.basic_nack(0, multiple=True, requeue=True)
                self._serve(0)

    def _open_up(self) -> None:
        """Take as many as the prefetch allows, once nothing in hand is there for a second time."""
        # Big bodies too are taken with care: all that is on its way is read before the answers are.
        if not self._is_cautious or self._redelivered or self._inbox_bytes() > _HEAVY_BYTES:
            return
        # What comes back stands at the head of its queue: so what comes first tells, or nothing.
        if self._unacked.received or time.monotonic() - self._connected_s > _SILENCE_S:
            self._is_cautious = False
            self._consume_anew()

    def _read_dry(self) -> None:
        received = -1
        while received != self._unacked.received:
            received = self._unacked.received
            self._serve(0)

    def _consume_anew(self) -> None:
        channel = self._channel
        if channel is not None and self.is_ready:
            # The broker gives each consumer the limit that was set last before it began.
            self.cancel()
            self._consume(channel)

    def _consume(self, channel: Channel) -> None:
        self._channel = channel
        prefetch = CAUTIOUS_PREFETCH if self._is_cautious else self._prefetch
        channel.call("basic_qos", prefetch_count=prefetch)
        # Never the same tag again: over that RabbitMQ 3.10 crashes a quorum queue's channel.
        number = next(self._numbers)
        for queue in self._queues:
            tag = f"orderd.{queue}.{number}"
            channel.call(
                "basic_consume",
                queue=queue,
                consumer_tag=tag,
                on_message_callback=partial(self._on_delivery, queue),
            )
            self._consuming[tag] = queue

    def _on_delivery(self, queue: str, _raw: Any, method: Any, found: Any, body: bytes) -> None:
        tag = method.delivery_tag
        delivery = Delivery(queue, body, found.decoded, tag, self.generation, method.redelivered)
        if delivery.redelivered:
            self._redelivered.add(tag)
        is_worn = delivery.redelivered and renewal.is_due(delivery)
        (self.worn if is_worn else self.inbox).append(delivery)
        self._unacked.add(tag)
        self._link.wake()

    def _on_cancelled(self, frame: Any) -> None:
        self._cancelled = self._consuming.get(frame.method.consumer_tag, frame.method.consumer_tag)
        self._link.wake()

    def _serve(self, timeout_s: float) -> None:
        try:
            self._open_channel()
            self._link.run(timeout_s)
            self._open_channel()
        except BrokerFault:
            self._void()
            raise

    def _settle(
        self, deliveries: Sequence[Delivery], settle: Callable[[Any, int, bool], None]
    ) -> None:
        current = [one.tag for one in deliveries if one.generation == self.generation]
        if not current:
            return
        try:
            raw = self._open_channel().raw
        except BrokerFault:
            self._void()
            raise
        for tag, multiple in self._unacked.settle(current):
            settle(raw, tag, multiple)
        self._redelivered.difference_update(current)
        # pika only buffers: this turn hands it to the socket.
        self._serve(0)

    def _open_channel(self) -> Channel:
        """Return the channel on which everything is still consumed, or raise BrokerFault."""
        if self._channel is None:
            raise BrokerFault(f"{self._link.where}: not connected")
        self._channel.raise_if_closed()
        if self._cancelled is not None:
            raise BrokerFault(
                f"{self._link.where}: the broker cancelled the consumer of {self._cancelled}"
            )
        return self._channel

    def _void(self) -> None:
        self.inbox.clear()
        self.worn.clear()
        self._unacked.clear()
        self._redelivered.clear()

    def _inbox_bytes(self, start: int = 0) -> int:
        waiting = chain(islice(self.inbox, start, None), () if start else self.worn)
        return sum(len(delivery.body) for delivery in waiting)
