"""Takes deliveries from the command queues into an inbox, at the pace of its owner."""

import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import chain, islice
from typing import Any, Final

from orderd.amqp import renewal, topology
from orderd.amqp.connection import Channel, Connection, nothing
from orderd.amqp.endpoint import BrokerEndpoint
from orderd.amqp.faults import (
    INTERNAL_ERROR,
    NOT_FOUND,
    BrokerFault,
    BrokerRefused,
    ChannelFault,
    DeliveriesLost,
    TooFewChannels,
    TopologyMismatch,
)
from orderd.amqp.intake import Intake, Send
from orderd.amqp.intakes import Intakes
from orderd.amqp.message import Delivery
from orderd.amqp.topology import QueueDepth

_INBOX_BYTES_MAX: Final = 32 * 1024 * 1024
# RabbitMQ 3 shuffles a quorum queue that takes many messages back at once, and counts it; 4.3 keeps
# the order and does not count it. Closing the connection keeps the order everywhere, but counts.
_NACKS_IN_ORDER: Final = (4, 0)
_GIVE_BACK_TIMEOUT_S: Final = 3.0
# So many times the connection may be cut (541) within so many seconds.
_CUTS_MAX: Final = 2
_YOUNG_S: Final = 10.0
_HEAVY_BYTES: Final = 256 * 1024


class Consumer:
    """Consumes *queues* with manual acks, at most *prefetch* unacked deliveries from each.

    Each has a channel of its own: whatever happens to one of them costs the others nothing, and is
    told in `failing`. Of those of *exclusive* it takes only while no other daemon does.

    `has_settled` tells whether anything was acked or requeued on the current connection.
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
        exclusive: Collection[str] = (),
        inbox_bytes_max: int = _INBOX_BYTES_MAX,
    ) -> None:
        self._connection = Connection(endpoint)
        self._intakes = Intakes(
            self._connection,
            queues,
            exclusive,
            prefetch,
            declare=self._declare_queue,
            on_arrival=self._on_arrival,
            on_lost=self._on_lost,
        )
        self._prefetch = prefetch
        self._retry_delays_s = tuple(retry_delays_s)
        self._queue_type = queue_type
        self._inbox_bytes_max = inbox_bytes_max
        self.inbox: deque[Delivery] = deque()
        self.worn: deque[Delivery] = deque()
        self._has_connected = False
        self._received = 0
        self.has_settled = False
        self._cuts = 0
        self._was_cut = False
        self._connected_s = 0.0

    @property
    def is_ready(self) -> bool:
        """Whether the broker delivers from every queue that is not left to others."""
        return self._intakes.is_complete

    @property
    def standing_by(self) -> Mapping[str, str]:
        """The queues that are left to others, and why."""
        return self._intakes.standing_by

    @property
    def failing(self) -> Mapping[str, str]:
        """The queues that cannot be consumed for now, and why; they are tried again."""
        return self._intakes.failing

    @property
    def consumers(self) -> Mapping[str, int]:
        """How many consumers each of the other queues had lately, this one among them."""
        return self._intakes.consumers

    def connect(self, keep_alive: Callable[[], None] = nothing) -> None:
        """Connect, declare the topology and start consuming: one attempt over all URLs.

        *keep_alive* is called at least once a second, and must not touch this consumer. Raises
        BrokerFault, and TopologyMismatch the first time.
        """
        # Before it is forgotten: a connection that is cut right after it was made, again and again,
        # is no outage. Then the queues are consumed apart.
        self._cuts = self._cuts + 1 if self._was_cut else 0
        self._was_cut = False
        self.close()
        self._intakes.is_apart = self._cuts >= _CUTS_MAX
        self._connected_s = time.monotonic()
        self.has_settled = False
        try:
            self._connection.open(keep_alive)
            self._look_for_channels()
            self._intakes.begin(is_first=not self._has_connected)
            self._declare_exchange()
        except Exception:
            self._note_cut()
            self.close()
            raise
        self._has_connected = True

    def poll(self, timeout_s: float) -> None:
        """Service the connection until something came into the inbox, at most *timeout_s* seconds.

        Raises BrokerFault when the connection is lost, or no queue is left to be consumed. The
        inbox is empty then: the broker delivers again what was in it.
        """
        if self._inbox_bytes() >= self._inbox_bytes_max:
            # The less is read, the more the broker keeps; a turn a second feeds the heartbeat.
            time.sleep(timeout_s)
            timeout_s = 0
        until_s = time.monotonic() + timeout_s
        before = self._received
        self._serve(timeout_s)
        # pika may return sooner, for less than a delivery.
        while self._received == before and (left_s := until_s - time.monotonic()) > 0:
            self._serve(left_s)

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

    def look_around(self) -> None:
        """Take from the queues that had to be left to others, where these are gone by now; count.

        To be called freely: few of the calls do anything. Raises BrokerFault as `poll` does.
        """
        with self._voiding():
            self._intakes.look_around()

    def takes_from(self, queue: str) -> bool:
        """Return whether *queue* has a consumer of this daemon's."""
        return queue in self._intakes

    def holds(self, delivery: Delivery) -> bool:
        """Return whether *delivery* can still be settled."""
        return self._intakes.holds(delivery)

    def assert_held(self, deliveries: Iterable[Delivery]) -> None:
        """Look whether *deliveries* are still ours; raise DeliveriesLost where some are not.

        Asks the broker where it was silent for long. Raises BrokerFault as `poll` does.
        """
        with self._voiding():
            self._intakes.serve(0)
            self._intakes.assert_alive()
        lost = [delivery for delivery in deliveries if not self.holds(delivery)]
        if lost:
            queues = ", ".join(sorted({delivery.queue for delivery in lost}))
            raise DeliveriesLost(f"{len(lost)} deliveries of {queues} are no longer this daemon's")

    def ack(self, deliveries: Iterable[Delivery]) -> None:
        """Tell the broker to forget *deliveries*; those that are no longer held are left out.

        Raises BrokerFault as `poll` does; what was not acked is delivered again.
        """
        self._settle(deliveries, _ack)

    def requeue(self, deliveries: Iterable[Delivery]) -> None:
        """Give *deliveries* back to their queues, in their order; stale ones are left out."""
        self._settle(deliveries, _requeue)

    def depth(self, queue: str) -> QueueDepth:
        """Return how much is waiting in *queue*, and how many consumers it has.

        Nothing and none where there is no such queue. What arrived by then is in the inbox.
        """
        with self._voiding():
            try:
                return self._intakes.depth(queue)
            except ChannelFault as fault:
                if fault.code != NOT_FOUND:
                    raise
                return QueueDepth(ready=0, consumers=0)

    def declare(self) -> None:
        """Declare the topology again, where somebody has deleted some of it.

        Raises BrokerFault and TopologyMismatch.
        """
        topology.declare(self._connection, self._retry_delays_s, self._queue_type)

    def change_retry_delays(self, delays_s: Sequence[float]) -> None:
        """Have retry queues for *delays_s*, now and after each connecting.

        Raises TopologyMismatch where one cannot be used, and BrokerFault; all is as before then.
        """
        topology.declare(self._connection, delays_s, self._queue_type)
        self._retry_delays_s = tuple(delays_s)

    def change_prefetch(self, prefetch: int) -> None:
        """Let the broker send so many from each queue; what is in hand stays in hand.

        Raises BrokerFault as `poll` does.
        """
        if prefetch == self._prefetch:
            return
        self._prefetch = prefetch
        with self._voiding():
            self._intakes.change_prefetch(prefetch)

    def cancel(self) -> None:
        """Take no more: what the broker had sent is in the inbox then, and can still be settled."""
        with self._voiding():
            self._intakes.cancel()

    def close(self) -> None:
        """Close the connection; what is unacked goes back to its queue. Never raises."""
        self._give_back()
        self._void()
        # The connection first: nothing that was unacked is to be given back channel by channel.
        self._connection.close()
        self._intakes.clear()

    def _give_back(self) -> None:
        """Give back what is unacked, in its order, and uncounted where the broker has a way."""
        if not self._connection.is_open:
            return
        # Nobody's slices: who closes has often given up, and must not be told so once more.
        self._connection.end_slices(_GIVE_BACK_TIMEOUT_S)
        with suppress(BrokerFault):
            self.cancel()
            if self._connection.version >= _NACKS_IN_ORDER:
                self._intakes.give_back()

    def _open_up(self) -> None:
        with self._voiding():
            self._intakes.adapt()
            # Big bodies too are taken with care: all that is on its way is read before the answers.
            if self._intakes.is_cautious and self._inbox_bytes() <= _HEAVY_BYTES:
                self._intakes.open_up()

    def _look_for_channels(self) -> None:
        most, needed = self._connection.channels_max, self._intakes.channels_needed
        if 0 < most < needed:
            # Later, others have changed what was enough.
            kind = BrokerRefused if self._has_connected else TooFewChannels
            raise kind(
                f"{self._connection.where}: channel_max {most}: orderd needs {needed} channels"
            )

    def _declare_queue(self, queue: str) -> None:
        topology.declare_queue(self._connection, queue, self._retry_delays_s, self._queue_type)

    def _declare_exchange(self) -> None:
        try:
            topology.declare_exchange(self._connection)
        except TopologyMismatch:
            # Others have changed it, and it takes events all the same.
            if not self._has_connected:
                raise

    def _on_arrival(self, intake: Intake, tag: int, method: Any, found: Any, body: bytes) -> None:
        delivery = Delivery(
            intake.queue, body, found.decoded, tag, intake.generation, method.redelivered
        )
        is_worn = delivery.redelivered and renewal.is_due(delivery)
        (self.worn if is_worn else self.inbox).append(delivery)
        self._received += 1
        self._connection.note_heard()

    def _on_lost(self, queue: str) -> None:
        """Forget what waits of *queue*: it cannot be settled any more."""
        for waiting in (self.inbox, self.worn):
            others = [delivery for delivery in waiting if delivery.queue != queue]
            waiting.clear()
            waiting.extend(others)

    def _serve(self, timeout_s: float) -> None:
        with self._voiding():
            self._intakes.serve(timeout_s)

    def _settle(self, deliveries: Iterable[Delivery], send: Send) -> None:
        with self._voiding():
            self._intakes.settle(deliveries, send)
        self.has_settled = True

    @contextmanager
    def _voiding(self) -> Iterator[None]:
        """Forget what is in hand where the broker is lost: it cannot be settled any more."""
        try:
            yield
        except BrokerFault:
            if not self._connection.is_open:
                self._note_cut()
                self._void()
            raise

    def _note_cut(self) -> None:
        is_young = time.monotonic() - self._connected_s < _YOUNG_S
        self._was_cut = is_young and self._connection.loss_code == INTERNAL_ERROR

    def _void(self) -> None:
        self.inbox.clear()
        self.worn.clear()

    def _inbox_bytes(self, start: int = 0) -> int:
        waiting = chain(islice(self.inbox, start, None), () if start else self.worn)
        return sum(len(delivery.body) for delivery in waiting)


def _ack(channel: Channel, tag: int, multiple: bool) -> None:  # noqa: FBT001 - as pika has it
    channel.send("basic_ack", delivery_tag=tag, multiple=multiple)


def _requeue(channel: Channel, tag: int, multiple: bool) -> None:  # noqa: FBT001 - likewise
    channel.send("basic_nack", delivery_tag=tag, multiple=multiple, requeue=True)
