"""Takes deliveries from the command queues into an inbox, at the pace of its owner."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import chain, islice
from typing import Any, Final

from orderd.amqp import renewal, topology
from orderd.amqp.channel import Channel
from orderd.amqp.endpoint import BrokerEndpoint
from orderd.amqp.faults import BrokerFault
from orderd.amqp.intake import Intake
from orderd.amqp.link import Link, no_slice
from orderd.amqp.message import Delivery
from orderd.amqp.topology import QueueDepth

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

    Each has a channel of its own, so that a refusal to consume one does no harm to the others.
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
        self._intakes: dict[str, Intake] = {}
        self._cancelled: str | None = None
        self.inbox: deque[Delivery] = deque()
        self.worn: deque[Delivery] = deque()
        self.generation = 0

    @property
    def is_ready(self) -> bool:
        """Whether the broker delivers from every queue."""
        return self._is_whole() and self._consuming() == len(self._queues)

    def connect(self, on_slice: Callable[[], None] = no_slice) -> None:
        """Connect, declare the topology and start consuming: one attempt over all URLs.

        *on_slice* is called at least once a second. Raises BrokerFault or TopologyMismatch.
        """
        self.close()
        self.generation += 1
        try:
            self._link.open(on_slice)
            topology.declare(self._link, self._retry_delays_s, self._queue_type)
            self._channel = self._link.open_channel()
            for queue in self._queues:
                self._begin(queue)
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
            return topology.depth_on(self._assert_open(), queue)
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
        for intake in self._intakes.values():
            if not intake.is_cautious:
                self._consume_anew(intake)

    def cancel(self) -> None:
        """Take no more: what the broker had sent is in the inbox then, and can still be settled."""
        try:
            for intake in self._intakes.values():
                self._cancel(intake)
            self._read_dry()
        except BrokerFault:
            self._void()
            raise

    def close(self) -> None:
        """Close the connection; what is unacked goes back to its queue. Never raises."""
        self._give_back()
        self._void()
        self._channel = None
        self._intakes.clear()
        self._cancelled = None
        self._link.close()

    def _give_back(self) -> None:
        """Give back what is unacked, in its order, and uncounted where the broker has a way."""
        if not self._is_whole():
            return
        # Nobody's slices: who closes has often given up, and must not be told so once more.
        self._link.end_slices(_GIVE_BACK_TIMEOUT_S)
        with suppress(BrokerFault):
            self.cancel()
            if self._link.version >= _NACKS_IN_ORDER:
                for intake in self._intakes.values():
                    if intake.unacked:
                        intake.channel.raw.basic_nack(0, multiple=True, requeue=True)
                self._serve(0)

    def _open_up(self) -> None:
        """Take as many as the prefetch allows, once nothing in hand is there for a second time."""
        intakes = self._intakes.values()
        cautious = [one for one in intakes if one.is_cautious]
        # Big bodies too are taken with care: all that is on its way is read before the answers are.
        if not cautious or self._inbox_bytes() > _HEAVY_BYTES:
            return
        for intake in cautious:
            if any(one.redelivered for one in intakes):
                return
            # What comes back stands at the head of its queue: so what comes first tells, or
            # nothing.
            if intake.unacked.received or time.monotonic() - intake.since_s > _SILENCE_S:
                intake.is_cautious = False
                self._consume_anew(intake)

    def _begin(self, queue: str) -> None:
        place, places = self._queues.index(queue), len(self._queues)
        intake = Intake(queue, place, places, self._link.open_channel())
        intake.channel.raw.add_on_cancel_callback(lambda _frame: self._on_cancelled(queue))
        intake.is_cautious = self._prefetch > CAUTIOUS_PREFETCH
        self._intakes[queue] = intake
        self._consume(intake)

    def _consume(self, intake: Intake) -> None:
        intake.consume(
            CAUTIOUS_PREFETCH if intake.is_cautious else self._prefetch, self._on_delivery
        )

    def _consume_anew(self, intake: Intake) -> None:
        if self.is_ready:
            try:
                self._cancel(intake)
                self._consume(intake)
            except BrokerFault:
                self._void()
                raise

    def _cancel(self, intake: Intake) -> None:
        if intake.consumer_tag is not None:
            # pika rejects what comes while it waits for the broker's answer, and some brokers
            # count that against the message: so read first what has been sent.
            self._read_dry()
            intake.cancel()

    def _read_dry(self) -> None:
        received = -1
        while received != self._received():
            received = self._received()
            self._serve(0)

    def _received(self) -> int:
        return sum(intake.unacked.received for intake in self._intakes.values())

    def _consuming(self) -> int:
        return sum(intake.consumer_tag is not None for intake in self._intakes.values())

    def _on_delivery(self, intake: Intake, method: Any, found: Any, body: bytes) -> None:
        tag = intake.admit(method)
        delivery = Delivery(
            intake.queue, body, found.decoded, tag, self.generation, method.redelivered
        )
        is_worn = delivery.redelivered and renewal.is_due(delivery)
        (self.worn if is_worn else self.inbox).append(delivery)
        self._link.wake()

    def _on_cancelled(self, queue: str) -> None:
        self._cancelled = queue
        self._link.wake()

    def _serve(self, timeout_s: float) -> None:
        try:
            self._assert_open()
            self._link.run(timeout_s)
            self._assert_open()
        except BrokerFault:
            self._void()
            raise

    def _settle(
        self, deliveries: Sequence[Delivery], settle: Callable[[Any, int, bool], None]
    ) -> None:
        current: dict[str, list[int]] = {}
        for one in deliveries:
            if one.generation == self.generation:
                current.setdefault(one.queue, []).append(one.tag)
        if not current:
            return
        try:
            self._assert_open()
        except BrokerFault:
            self._void()
            raise
        for queue, tags in current.items():
            self._intakes[queue].settle(tags, settle)
        # pika only buffers: this turn hands it to the socket.
        self._serve(0)

    def _is_whole(self) -> bool:
        return (
            self._link.is_open
            and self._channel is not None
            and self._cancelled is None
            and all(one.is_open for one in self._channels())
        )

    def _assert_open(self) -> Channel:
        """Return the channel for questions, or raise BrokerFault where any channel is lost."""
        if self._channel is None:
            raise BrokerFault(f"{self._link.where}: not connected")
        for channel in self._channels():
            channel.raise_if_closed()
        if self._cancelled is not None:
            raise BrokerFault(
                f"{self._link.where}: the broker cancelled the consumer of {self._cancelled}"
            )
        return self._channel

    def _channels(self) -> Iterator[Channel]:
        if self._channel is not None:
            yield self._channel
        yield from (intake.channel for intake in self._intakes.values())

    def _void(self) -> None:
        self.inbox.clear()
        self.worn.clear()
        for intake in self._intakes.values():
            intake.void()

    def _inbox_bytes(self, start: int = 0) -> int:
        waiting = chain(islice(self.inbox, start, None), () if start else self.worn)
        return sum(len(delivery.body) for delivery in waiting)
