"""The queues that are consumed, each on a channel of its own, and those that are left to others."""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, Final

from orderd.amqp import topology
from orderd.amqp.channel import Channel
from orderd.amqp.faults import BrokerFault, ChannelFault
from orderd.amqp.intake import Arrive, Intake
from orderd.amqp.link import Link
from orderd.amqp.message import Delivery
from orderd.amqp.queue_locks import QueueLocks, is_in_use
from orderd.amqp.topology import QueueDepth

# Whatever ends the connection counts against every message in hand: so while some of them are
# there for a second time, few are taken.
CAUTIOUS_PREFETCH: Final = 20
TRY_AGAIN_S: Final = 2.0
COUNT_EVERY_S: Final = 60.0
# In which the broker has sent what an ack made room for.
_ANSWER_S: Final = 0.1


class Intakes:
    """Consumes *queues* over *link*; every method raises BrokerFault once anything is lost.

    Of those of *exclusive* it takes only while no other daemon does. `standing_by` says which it
    has to leave to others, and why; `consumers`, how many each of the rest had lately.
    """

    def __init__(
        self,
        link: Link,
        queues: Sequence[str],
        exclusive: Collection[str],
        prefetch: int,
        on_arrival: Arrive,
    ) -> None:
        self._link = link
        self._queues = tuple(queues)
        self._locks = QueueLocks(link, exclusive)
        self._prefetch = prefetch
        self._on_arrival = on_arrival
        self._asking: Channel | None = None
        self._intakes: dict[str, Intake] = {}
        self._cancelled: str | None = None
        self._try_at_s = self._count_at_s = 0.0
        self.standing_by: dict[str, str] = {}
        self.consumers: dict[str, int] = {}

    def __contains__(self, queue: str) -> bool:
        """Return whether *queue* has a consumer here, or had until `cancel`."""
        return queue in self._intakes

    @property
    def is_whole(self) -> bool:
        """Whether nothing was lost since `begin`."""
        lost = self._cancelled or self._locks.lost
        return (
            self._link.is_open
            and self._asking is not None
            and lost is None
            and all(channel.is_open for channel in self._channels())
        )

    @property
    def is_complete(self) -> bool:
        """Whether the broker delivers from every queue that is not left to others."""
        taken = [one for one in self._intakes.values() if one.consumer_tag is not None]
        return self.is_whole and len(taken) + len(self.standing_by) == len(self._queues)

    def begin(self) -> None:
        """Consume every queue that nobody else keeps to himself."""
        self._asking = self._link.open_channel()
        for queue in self._queues:
            self._try(queue)
        self._try_at_s = time.monotonic() + TRY_AGAIN_S
        self._count_at_s = time.monotonic() + COUNT_EVERY_S

    def look_around(self) -> None:
        """Consume what had to be left to others, where these are gone by now; count consumers.

        To be called freely: few of the calls do anything.
        """
        if self.standing_by and time.monotonic() >= self._try_at_s:
            self.assert_open()
            for queue in tuple(self.standing_by):
                self._try(queue)
            self._try_at_s = time.monotonic() + TRY_AGAIN_S
        if time.monotonic() >= self._count_at_s:
            self._count_at_s = time.monotonic() + COUNT_EVERY_S
            for queue, intake in self._intakes.items():
                # A quorum queue counts a cancelled consumer too, while it has something in hand.
                if not intake.unacked:
                    self.consumers[queue] = self.depth(queue).consumers

    def serve(self, timeout_s: float) -> None:
        """Service the connection until something came, at most *timeout_s* seconds."""
        self.assert_open()
        self._link.run(timeout_s)
        self.assert_open()

    def assert_open(self) -> Channel:
        """Return the channel for questions, if nothing is lost."""
        if self._asking is None:
            raise BrokerFault(f"{self._link.where}: not connected")
        for channel in self._channels():
            channel.raise_if_closed()
        if self._cancelled is not None:
            raise BrokerFault(
                f"{self._link.where}: the broker cancelled the consumer of {self._cancelled}"
            )
        if self._locks.lost is not None:
            raise BrokerFault(f"{self._link.where}: the lock of {self._locks.lost} was deleted")
        return self._asking

    def depth(self, queue: str) -> QueueDepth:
        """Return how much is waiting in *queue*, and how many consumers it has."""
        return topology.depth_on(self.assert_open(), queue)

    def settle(
        self, deliveries: Iterable[Delivery], send: Callable[[Any, int, bool], None]
    ) -> None:
        """Settle *deliveries*, all of the current connection; *send* puts one step on its way."""
        tags: dict[str, list[int]] = {}
        for delivery in deliveries:
            tags.setdefault(delivery.queue, []).append(delivery.tag)
        self.assert_open()
        for queue, those in tags.items():
            self._intakes[queue].settle(those, send)
        # pika only buffers: this turn hands it to the socket.
        self.serve(0)

    def change_prefetch(self, prefetch: int) -> None:
        """Let the broker send so many from each queue; what is in hand stays in hand."""
        self._prefetch = prefetch
        for intake in self._intakes.values():
            intake.is_outdated = not intake.is_cautious
        self.adapt()

    @property
    def is_cautious(self) -> bool:
        """Whether less than the prefetch is taken from any queue."""
        return any(intake.is_cautious for intake in self._intakes.values())

    def open_up(self) -> None:
        """Take as many as the prefetch allows, once nothing in hand is there for a second time."""
        is_clean = not any(intake.redelivered for intake in self._intakes.values())
        for intake in self._intakes.values():
            # What comes back stands at the head of its queue: so what comes first tells.
            if intake.is_cautious and is_clean and intake.is_full:
                intake.is_cautious = False
                self._consume_anew(intake)

    def adapt(self) -> None:
        """Take over a prefetch that was changed, where nothing is on its way."""
        for intake in self._intakes.values():
            if intake.is_outdated and (intake.is_full or not intake.unacked):
                intake.is_outdated = False
                self._consume_anew(intake)

    def cancel(self) -> None:
        """Take no more, and stand by for nothing; all that was sent has arrived then."""
        self.standing_by.clear()
        for intake in self._intakes.values():
            self._cancel(intake)
        self._read_dry()

    def give_back(self) -> None:
        """Give back what is unacked, uncounted where the broker has a way."""
        for intake in self._intakes.values():
            if intake.unacked:
                intake.channel.raw.basic_nack(0, multiple=True, requeue=True)
        self.serve(0)

    def void(self) -> None:
        """Forget what is unacked: it cannot be settled any more."""
        for intake in self._intakes.values():
            intake.void()

    def clear(self) -> None:
        """Forget everything: the connection is gone."""
        self._asking = None
        self._intakes.clear()
        self._locks.forget()
        self._cancelled = None
        self.standing_by.clear()
        self.consumers.clear()

    def _try(self, queue: str) -> None:
        """Consume *queue*, or stand by for it."""
        why = "another program consumes it exclusively"
        # A queue with a single active consumer of its own lets nobody consume exclusively.
        for is_exclusive in (True, False) if self._locks.is_exclusive(queue) else (False,):
            if (hindrance := self._locks.hindrance(queue)) is not None:
                why = hindrance
                break
            if self._is_let_in(queue, is_exclusive=is_exclusive):
                self.standing_by.pop(queue, None)
                self.consumers[queue] = self.depth(queue).consumers
                return
        self.standing_by[queue] = why

    def _is_let_in(self, queue: str, *, is_exclusive: bool) -> bool:
        place, places = self._queues.index(queue), len(self._queues)
        intake = Intake(queue, place, places, self._link.open_channel())
        intake.channel.raw.add_on_cancel_callback(lambda _frame: self._on_cancelled(queue))
        intake.is_exclusive = is_exclusive
        intake.is_cautious = self._prefetch > CAUTIOUS_PREFETCH
        try:
            self._consume(intake)
        except ChannelFault as fault:
            if not is_in_use(fault):
                raise
            return False
        self._intakes[queue] = intake
        return True

    def _consume(self, intake: Intake) -> None:
        prefetch = CAUTIOUS_PREFETCH if intake.is_cautious else self._prefetch
        intake.consume(prefetch, self._on_arrival)

    def _consume_anew(self, intake: Intake) -> None:
        if self.is_complete:
            self._cancel(intake)
            self._consume(intake)

    def _cancel(self, intake: Intake) -> None:
        if intake.consumer_tag is None:
            return
        # What is on its way to a consumer that is cancelled, the broker takes back: a quorum queue
        # counts that, and RabbitMQ 3.10 puts it behind all others.
        while not intake.is_full:
            left_s = intake.settled_s + _ANSWER_S - time.monotonic()
            if left_s <= 0:
                break
            self.serve(left_s)
        self._read_dry()
        intake.cancel()

    def _read_dry(self) -> None:
        received = -1
        while received != self._received():
            received = self._received()
            self.serve(0)

    def _received(self) -> int:
        return sum(intake.unacked.received for intake in self._intakes.values())

    def _channels(self) -> Iterator[Channel]:
        if self._asking is not None:
            yield self._asking
        yield from (intake.channel for intake in self._intakes.values())
        yield from self._locks.channels

    def _on_cancelled(self, queue: str) -> None:
        self._cancelled = queue
        self._link.wake()
