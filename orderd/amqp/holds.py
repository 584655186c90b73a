"""Queues from which nothing is taken for now, by the will of an operator."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress

from orderd.amqp.faults import ChannelFault
from orderd.amqp.intake import Intake
from orderd.amqp.intakes import Intakes


class Holds:
    """Holds and releases queues of *intakes*, and takes single messages of those that are held.

    What was delivered before can still be settled; the rest stays with the broker. Methods raise
    BrokerFault where the connection is lost, or no queue is left to be consumed.
    """

    def __init__(self, intakes: Intakes) -> None:
        """Begin with no queue held."""
        self._intakes = intakes
        self._sampled: set[str] = set()

    @property
    def queues(self) -> Collection[str]:
        """The queues that are held."""
        return self._intakes.held

    @property
    def sampled(self) -> Collection[str]:
        """The held queues of which the broker is to deliver one message."""
        return self._sampled

    def set(self, queues: Collection[str]) -> None:
        """Hold *queues*, and no others; before there is a connection too."""
        for intake in self._intakes:
            if intake.queue in queues and intake.queue not in self._intakes.held:
                self._hold(intake)
            elif intake.queue in self._intakes.held and intake.queue not in queues:
                self._release(intake)

    def is_idle(self, queue: str) -> bool:
        """Return whether no message of *queue* is unacknowledged here."""
        return all(not intake.unacked for intake in self._intakes if intake.queue == queue)

    def sample(self, queue: str) -> None:
        """Have the broker deliver a single message of *queue*, which is held."""
        for intake in self._intakes:
            if intake.queue == queue and self._intakes.take_one(intake):
                self._sampled.add(queue)

    def end_samples(self, overdue: Collection[str]) -> None:
        """Take no more from queues whose message has arrived, nor from those that are *overdue*.

        To be called before a message is acknowledged: the broker sends the next one then.
        """
        for intake in self._intakes:
            if intake.queue in self._sampled and (intake.unacked or intake.queue in overdue):
                self._sampled.discard(intake.queue)
                if intake.is_taken:
                    self._intakes.stop(intake)

    def _hold(self, intake: Intake) -> None:
        self._intakes.held.add(intake.queue)
        self._intakes.standing_by.pop(intake.queue, None)
        self._intakes.consumers.pop(intake.queue, None)
        intake.is_paused = False
        if intake.is_taken:
            with self._noticed():
                self._intakes.stop(intake)

    def _release(self, intake: Intake) -> None:
        self._intakes.held.discard(intake.queue)
        self._sampled.discard(intake.queue)
        if self._intakes.is_connected:
            with self._noticed():
                if intake.is_taken:
                    # With the prefetch of a sample.
                    self._intakes.stop(intake)
                self._intakes.take_again(intake)

    @contextmanager
    def _noticed(self) -> Iterator[None]:
        """Leave a closed channel to `leave_lost`, which reports it and goes on with the rest."""
        with suppress(ChannelFault):
            yield
        self._intakes.leave_lost()
