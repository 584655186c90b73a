"""The queues that are consumed, each on a channel of its own, and those that cannot be for now."""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import count
from typing import Final

from orderd.amqp import topology
from orderd.amqp.admission import admit
from orderd.amqp.connection import Connection
from orderd.amqp.faults import INTERNAL_ERROR, BrokerFault, ChannelFault, TopologyMismatch
from orderd.amqp.intake import CAUTIOUS_PREFETCH, Arrive, Intake, Send
from orderd.amqp.message import Delivery
from orderd.amqp.queue_locks import QueueLocks
from orderd.amqp.scratch_channel import ScratchChannel
from orderd.amqp.separate import SeparateConnections

TRY_AGAIN_S: Final = 2.0
COUNT_EVERY_S: Final = 60.0
# In which the broker has sent what an ack made room for.
_ANSWER_S: Final = 0.1


class Intakes:
    """Consumes *queues* over *connection*; a fault of one of them is not that of the others.

    Of those of *exclusive* it takes only while no other daemon does. `standing_by` says which it
    has to leave to others, and why; `failing`, which cannot be consumed; `consumers`, how many
    each of the rest had lately. *on_lost* is called with a queue whose deliveries are void.

    Where `apart` is wanted each has a connection of its own, so that it is found out over the head
    of which the broker closes the connection. Nothing is taken of those that are `held`.

    Methods raise BrokerFault where the connection is lost, or no queue is left to be consumed.
    """

    def __init__(
        self,
        connection: Connection,
        queues: Sequence[str],
        exclusive: Collection[str],
        prefetch: int,
        *,
        declare: Callable[[str], None],
        on_arrival: Arrive,
        on_lost: Callable[[str], None],
    ) -> None:
        self._connection = connection
        self._asking = ScratchChannel(connection)
        self._locks = QueueLocks(connection, exclusive, self._asking)
        self.prefetch = prefetch
        self._declare = declare
        self._on_arrival = on_arrival
        self._on_lost = on_lost
        tags = count(1)
        self._intakes = {queue: Intake(queue, tags) for queue in queues}
        self.apart = SeparateConnections(connection)
        self._count_at_s = 0.0
        self.standing_by: dict[str, str] = {}
        self.failing: dict[str, str] = {}
        self.consumers: dict[str, int] = {}
        self.held: set[str] = set()

    def __contains__(self, queue: str) -> bool:
        """Return whether *queue* has a consumer here, or had until `cancel`."""
        intake = self._intakes.get(queue)
        return intake is not None and intake.channel is not None

    def __iter__(self) -> Iterator[Intake]:
        """Yield all, those too that are not consumed."""
        return iter(self._intakes.values())

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection."""
        return self._connection.is_open

    @property
    def is_complete(self) -> bool:
        """Whether the broker delivers from every queue that can be had."""
        return self._connection.is_open and all(
            intake.is_taken
            or intake.is_paused
            or intake.queue in self.held
            or intake.queue in self.standing_by
            or intake.queue in self.failing
            for intake in self._intakes.values()
        )

    @property
    def channels_needed(self) -> int:
        """How many channels of the connection are used at a time, at most.

        One for each queue and each lock, and two to ask and to declare with.
        """
        return len(self._intakes) + self._locks.count + 2

    def holds(self, delivery: Delivery) -> bool:
        """Return whether *delivery* is unacked and can still be settled."""
        return delivery.tag in self._intakes[delivery.queue].unacked

    def begin(self, *, is_first: bool) -> None:
        """Declare and consume every queue that no other daemon consumes exclusively.

        Raises TopologyMismatch where that *is_first*: later, others have changed what did fit.
        """
        for intake in self._intakes.values():
            try:
                self._declare(intake.queue)
            except TopologyMismatch as mismatch:
                if is_first:
                    raise
                self._fail(intake, str(mismatch))
            except ChannelFault as fault:
                self._fail(intake, str(fault))
            else:
                if intake.queue not in self.held:
                    self._try(intake)
        self._raise_if_none_is_left()
        self._count_at_s = time.monotonic() + COUNT_EVERY_S

    def look_around(self) -> None:
        """Consume what could not be consumed, where it can by now; count consumers.

        To be called freely: few of the calls do anything.
        """
        now_s = time.monotonic()
        for intake in self._intakes.values():
            if intake.queue in self.held:
                continue
            is_failing = intake.queue in self.failing
            if (is_failing or intake.queue in self.standing_by) and now_s >= intake.try_at_s:
                self._try(intake, is_failing=is_failing)
        if now_s >= self._count_at_s:
            self._count_at_s = now_s + COUNT_EVERY_S
            for intake in self.taken():
                # A quorum queue counts a cancelled consumer too, while it has unacked deliveries.
                if not intake.unacked:
                    self.consumers[intake.queue] = self.depth(intake.queue).consumers

    def serve(self, timeout_s: float) -> None:
        """Service the connection until something came, at most *timeout_s* seconds."""
        if self.apart:
            self.apart.serve(timeout_s, self._received)
        else:
            self._connection.turn(timeout_s)
        self.leave_lost()

    def depth(self, queue: str) -> topology.QueueDepth:
        """Return how much is waiting in *queue*, and how many consumers it has."""
        found = topology.depth_on(self._asking, queue)
        # The call may have read deliveries, which pika hands over only now.
        self.serve(0)
        return found

    def assert_alive(self) -> None:
        """Ask the broker, where it was silent for long, whether it knows the connections."""
        if self._connection.is_silent:
            self._asking.call("basic_qos", prefetch_count=0)
            self.serve(0)
        if self.apart:
            for intake in self.taken():
                intake.probe()
            self.serve(0)

    def settle(self, deliveries: Iterable[Delivery], send: Send) -> None:
        """Settle those of *deliveries* that are held; *send* puts one step on its way."""
        for queue, tags in _by_queue(deliveries).items():
            try:
                self._intakes[queue].settle(tags, send)
            except BrokerFault:
                # The connection's, or else that of this queue, which is found out below.
                self._connection.raise_if_lost()
        self.leave_lost()

    def settle_at_last(self, deliveries: Iterable[Delivery], send: Send) -> None:
        """Settle *deliveries* where the connection was given up for want of an answer."""
        for queue, tags in _by_queue(deliveries).items():
            self._intakes[queue].settle(tags, send)

    def cancel(self) -> None:
        """Take no more, and stand by for nothing; all that was sent has arrived then."""
        self.standing_by.clear()
        self.failing.clear()
        for intake in self._intakes.values():
            intake.is_paused = False
            if intake.is_taken:
                self.stop(intake)
        self.read_dry()

    def give_back(self) -> None:
        """Give back what is unacked, uncounted where the broker has a way."""
        for intake in self._intakes.values():
            if intake.unacked:
                channel = intake.opened()
                channel.send("basic_nack", delivery_tag=0, multiple=True, requeue=True)
        self.serve(0)

    def clear(self) -> None:
        """Forget everything: the connection is gone."""
        self.apart.close()
        for intake in self._intakes.values():
            intake.drop()
        self._locks.forget()
        self._asking.forget()
        self.standing_by.clear()
        self.failing.clear()
        self.consumers.clear()

    def take_again(self, intake: Intake) -> None:
        """Consume a queue that was held, on the channel that it has, if it has one."""
        if intake.channel is None:
            self._try(intake, is_failing=intake.queue in self.failing)
        else:
            self._consume_first(intake)
            # Counted later: see `look_around`.
            self.consumers[intake.queue] = 1

    def take_one(self, intake: Intake) -> bool:
        """Have the broker deliver a single message from the queue; return whether it is to."""
        if intake.channel is None:
            self._try(intake, is_failing=intake.queue in self.failing, consume=self._consume_one)
        else:
            # `leave_lost` reports it.
            with suppress(ChannelFault):
                self._consume_one(intake)
            self.leave_lost()
        return intake.is_taken

    def _try(
        self,
        intake: Intake,
        *,
        is_failing: bool = False,
        consume: Callable[[Intake], None] | None = None,
    ) -> None:
        """Consume the queue, or stand by for it, or note why it cannot be consumed."""
        queue = intake.queue
        try:
            if is_failing:
                self._declare(queue)
            why = admit(intake, self._locks, self.apart, consume or self._consume_first)
        except (BrokerFault, TopologyMismatch) as fault:
            self._connection.raise_if_lost()
            self.standing_by.pop(queue, None)
            self._fail(intake, str(fault))
            return
        self.failing.pop(queue, None)
        self.standing_by.pop(queue, None)
        if why is None:
            self.consumers[queue] = self.depth(queue).consumers
        else:
            intake.try_at_s = time.monotonic() + TRY_AGAIN_S
            self.standing_by[queue] = why

    def _consume_first(self, intake: Intake) -> None:
        # It is not known yet whether the queue holds messages that were tried before.
        intake.is_cautious = self.prefetch > CAUTIOUS_PREFETCH
        self.consume(intake)

    def _consume_one(self, intake: Intake) -> None:
        intake.consume(1, self._on_arrival)

    def consume(self, intake: Intake) -> None:
        """Have the broker deliver from the queue of *intake*, up to its prefetch."""
        intake.consume(self.prefetch, self._on_arrival)

    def consume_anew(self, intake: Intake) -> None:
        """Cancel and consume again, since the prefetch of a consumer cannot be changed."""
        self.stop(intake)
        if intake.channel is not None:
            self.consume(intake)

    def stop(self, intake: Intake) -> None:
        """Cancel the consumer once all that is on its way has arrived."""
        # What is on its way to a consumer that is cancelled goes back: a quorum queue counts that,
        # and RabbitMQ 3.10 puts it behind all others.
        while not intake.is_full:
            left_s = intake.settled_s + _ANSWER_S - time.monotonic()
            if left_s <= 0:
                break
            self.serve(left_s)
        self.read_dry()
        if intake.is_taken:
            intake.cancel()

    def read_dry(self) -> None:
        """Read until nothing more arrives."""
        received = -1
        while received != self._received():
            received = self._received()
            self.serve(0)

    def _received(self) -> int:
        return sum(intake.unacked.received for intake in self._intakes.values())

    def taken(self) -> Iterator[Intake]:
        """Yield the intakes that are consumed."""
        return (intake for intake in self._intakes.values() if intake.is_taken)

    def leave_lost(self) -> None:
        """Leave the queues whose channel, consumer or lock is lost, and go on with the rest."""
        self._connection.raise_if_lost()
        lost = False
        for intake in self._intakes.values():
            why = intake.loss
            if why is None and self._locks.has_lost(intake.queue):
                why = f"{self._connection.where}: its lock was deleted"
            if why is not None:
                self._fail(intake, why)
                lost = True
        if lost:
            self._raise_if_none_is_left()

    def _fail(self, intake: Intake, why: str) -> None:
        own = self.apart.take(intake.queue)
        if own is not None and own.loss_code == INTERNAL_ERROR:
            intake.is_suspect = True
            why = (
                f"RabbitMQ fails to deliver the head of queue {intake.queue} "
                f"({INTERNAL_ERROR}): {why}"
            )
        intake.drop()
        if own is not None:
            own.close()
        intake.back_off()
        self.failing[intake.queue] = why
        self.consumers.pop(intake.queue, None)
        self._on_lost(intake.queue)

    def _raise_if_none_is_left(self) -> None:
        if len(self.failing) == len(self._intakes):
            raise BrokerFault("; ".join(f"queue {q}: {why}" for q, why in self.failing.items()))


def _by_queue(deliveries: Iterable[Delivery]) -> dict[str, list[int]]:
    tags: dict[str, list[int]] = {}
    for delivery in deliveries:
        tags.setdefault(delivery.queue, []).append(delivery.tag)
    return tags
