"""Takes deliveries from the command queues into an inbox, at the pace of its owner."""

import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import chain, islice
from typing import Any, Final

from orderd.amqp import renewal, topology
from orderd.amqp.endpoint import BrokerEndpoint
from orderd.amqp.faults import BrokerFault
from orderd.amqp.intake import Intake
from orderd.amqp.intakes import Intakes
from orderd.amqp.link import Link, no_slice
from orderd.amqp.message import Delivery
from orderd.amqp.topology import QueueDepth

_INBOX_BYTES_MAX: Final = 32 * 1024 * 1024
# RabbitMQ 3 shuffles a quorum queue that takes many messages back at once, and counts it; 4.3 keeps
# the order and does not count it. Closing the connection keeps the order everywhere, but counts.
_NACKS_IN_ORDER: Final = (4, 0)
_GIVE_BACK_TIMEOUT_S: Final = 3.0
_HEAVY_BYTES: Final = 256 * 1024


class Consumer:
    """Consumes *queues* with manual acks, at most *prefetch* unacked deliveries from each.

    Each has a channel of its own, so that a refusal to consume one does no harm to the others. Of
    those of *exclusive* it takes only while no other daemon does.

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
        exclusive: Collection[str] = (),
        inbox_bytes_max: int = _INBOX_BYTES_MAX,
    ) -> None:
        self._link = Link(endpoint)
        self._intakes = Intakes(self._link, queues, exclusive, prefetch, self._on_arrival)
        self._prefetch = prefetch
        self._retry_delays_s = tuple(retry_delays_s)
        self._queue_type = queue_type
        self._inbox_bytes_max = inbox_bytes_max
        self.inbox: deque[Delivery] = deque()
        self.worn: deque[Delivery] = deque()
        self.generation = 0

    @property
    def is_ready(self) -> bool:
        """Whether the broker delivers from every queue that is not left to others."""
        return self._intakes.is_complete

    @property
    def standing_by(self) -> Mapping[str, str]:
        """The queues that are left to others, and why."""
        return self._intakes.standing_by

    @property
    def consumers(self) -> Mapping[str, int]:
        """How many consumers each of the other queues had lately, this one among them."""
        return self._intakes.consumers

    def connect(self, on_slice: Callable[[], None] = no_slice) -> None:
        """Connect, declare the topology and start consuming: one attempt over all URLs.

        *on_slice* is called at least once a second. Raises BrokerFault or TopologyMismatch.
        """
        self.close()
        self.generation += 1
        try:
            self._link.open(on_slice)
            topology.declare(self._link, self._retry_delays_s, self._queue_type)
            self._intakes.begin()
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

    def look_around(self) -> None:
        """Take from the queues that had to be left to others, where these are gone by now; count.

        To be called freely: few of the calls do anything. Raises BrokerFault as `poll` does.
        """
        with self._voiding():
            self._intakes.look_around()

    def takes_from(self, queue: str) -> bool:
        """Return whether *queue* has a consumer of this daemon's."""
        return queue in self._intakes

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
        with self._voiding():
            return self._intakes.depth(queue)

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
        self._intakes.clear()
        self._link.close()

    def _give_back(self) -> None:
        """Give back what is unacked, in its order, and uncounted where the broker has a way."""
        if not self._intakes.is_whole:
            return
        # Nobody's slices: who closes has often given up, and must not be told so once more.
        self._link.end_slices(_GIVE_BACK_TIMEOUT_S)
        with suppress(BrokerFault):
            self.cancel()
            if self._link.version >= _NACKS_IN_ORDER:
                with self._voiding():
                    self._intakes.give_back()

    def _open_up(self) -> None:
        with self._voiding():
            self._intakes.adapt()
            # Big bodies too are taken with care: all that is on its way is read before the answers.
            if self._intakes.is_cautious and self._inbox_bytes() <= _HEAVY_BYTES:
                self._intakes.open_up()

    def _on_arrival(self, intake: Intake, method: Any, found: Any, body: bytes) -> None:
        tag = intake.admit(method)
        delivery = Delivery(
            intake.queue, body, found.decoded, tag, self.generation, method.redelivered
        )
        is_worn = delivery.redelivered and renewal.is_due(delivery)
        (self.worn if is_worn else self.inbox).append(delivery)
        self._link.wake()

    def _serve(self, timeout_s: float) -> None:
        with self._voiding():
            self._intakes.serve(timeout_s)

    def _settle(
        self, deliveries: Sequence[Delivery], settle: Callable[[Any, int, bool], None]
    ) -> None:
        if current := [one for one in deliveries if one.generation == self.generation]:
            with self._voiding():
                self._intakes.settle(current, settle)

    @contextmanager
    def _voiding(self) -> Iterator[None]:
        """Forget what is in hand where the broker is lost: it cannot be settled any more."""
        try:
            yield
        except BrokerFault:
            self._void()
            raise

    def _void(self) -> None:
        self.inbox.clear()
        self.worn.clear()
        self._intakes.void()

    def _inbox_bytes(self, start: int = 0) -> int:
        waiting = chain(islice(self.inbox, start, None), () if start else self.worn)
        return sum(len(delivery.body) for delivery in waiting)
