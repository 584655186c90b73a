"""How much is taken from the queues at a time: prefetch, caution, and pauses."""

from collections.abc import Callable, Collection
from contextlib import suppress

from orderd.amqp.connection import nothing
from orderd.amqp.faults import ChannelFault
from orderd.amqp.inbox import Inbox
from orderd.amqp.intake import requeue
from orderd.amqp.intakes import Intakes


class FlowControl:
    """Opens, narrows and pauses *intakes*, whose deliveries wait in *inbox*.

    Methods raise BrokerFault where the connection is lost, or no queue is left to be consumed.
    """

    def __init__(self, intakes: Intakes, inbox: Inbox, bytes_max: int) -> None:
        """Take few at a time from a queue with more than *bytes_max* of unacked bodies."""
        self._intakes = intakes
        self._inbox = inbox
        self._bytes_max = bytes_max

    @property
    def is_paused(self) -> bool:
        """Whether nothing is consumed from some queue until `resume`."""
        return any(intake.is_paused for intake in self._intakes)

    @property
    def body_bytes(self) -> int:
        """The size of all unacked bodies, in bytes."""
        return sum(intake.unacked.body_bytes for intake in self._intakes)

    def change_prefetch(self, prefetch: int) -> None:
        """Let the broker send *prefetch* from each queue; unacked deliveries stay as they are."""
        if prefetch != self._intakes.prefetch:
            self._intakes.prefetch = prefetch
            for intake in self._intakes:
                intake.is_outdated = not intake.is_cautious
            self._apply_prefetch()

    def adapt(self) -> None:
        """Adapt to a changed prefetch and to the size of unacked bodies; cheap to call often."""
        self._apply_prefetch()
        # Big bodies are taken with caution too: all that is on its way is read before the answers.
        if any(intake.is_cautious for intake in self._intakes):
            self._open_up()
        if heavy := self._too_heavy():
            self.pause(heavy, nothing)
            self.resume(is_slow=False)

    def pause(self, queues: Collection[str], keep_alive: Callable[[], None]) -> int:
        """Consume no more from *queues* until `resume`; give back what waits of them.

        Returns how many deliveries were given back. *keep_alive* is called at least once a second.
        """
        with self._inbox.giving_back(queues) as surplus:
            received = -1
            while received != self._inbox.received:
                received = self._inbox.received
                self._intakes.serve(0)
                keep_alive()
            for intake in self._intakes.taken():
                if intake.queue in queues:
                    self._intakes.stop(intake)
                    intake.pause()
            self._intakes.read_dry()
        self._intakes.settle(surplus, requeue)
        return len(surplus)

    def resume(self, *, is_slow: bool) -> None:
        """Consume from all queues that are paused: one at a time where *is_slow*, else few."""
        for intake in self._intakes:
            if intake.is_paused:
                intake.is_slow = is_slow
                # `leave_lost` reports it.
                with suppress(ChannelFault):
                    self._intakes.consume(intake)
        self._intakes.leave_lost()

    def _apply_prefetch(self) -> None:
        """Consume with a prefetch that was changed, where nothing is on its way."""
        for intake in self._intakes.taken():
            if intake.is_outdated and (intake.is_full or not intake.unacked):
                intake.is_outdated = False
                self._intakes.consume_anew(intake)

    def _open_up(self) -> None:
        """Take as many as the prefetch allows once no redelivered message is unacked."""
        is_clean = not any(intake.redelivered for intake in self._intakes)
        for intake in self._intakes.taken():
            if intake.is_cautious and is_clean and intake.may_open_up:
                # From one at a time to few, and only then to the prefetch.
                intake.is_cautious = intake.is_slow
                intake.is_slow = False
                self._intakes.consume_anew(intake)

    def _too_heavy(self) -> list[str]:
        """Return the queues with too many unacked bytes whose prefetch is not yet reduced."""
        return [
            intake.queue
            for intake in self._intakes.taken()
            if not intake.is_cautious and intake.unacked.body_bytes > self._bytes_max
        ]
