"""What is done wherever the loop waits, so that everyone sees that it lives."""

import time
from contextlib import suppress
from typing import Final

from orderd.amqp.faults import BrokerFault
from orderd.daemon.app import Parts
from orderd.daemon.lifecycle import State
from orderd.daemon.relief import Relief

# Statements that were sent together may each take their 10 s; and a COMMIT that waits for its
# standby is not to be left early, since its locks would stay.
_ANSWER_WAIT_S: Final = 120.0
_LAST_WAIT_S: Final = 5.0


class GiveUp(BaseException):
    """Leave everything as it is: the broker delivers again what was not acked.

    No fault of a command's, so nothing that handles those may catch it.
    """


class Breath:
    """Feeds watchdog, health file and heartbeats, and minds the signals, between two steps."""

    def __init__(self, parts: Parts, state: State) -> None:
        """Breathe for the daemon of *parts*, whose database does so too from now on."""
        self._parts = parts
        self._state = state
        self._relief = Relief(parts, state)
        self._give_up_at_s = float("inf")
        self._is_last = False
        parts.database.on_slice = self._take_unanswered
        parts.database.patience_s = _ANSWER_WAIT_S

    def take(self) -> None:
        """Do what is due; to be called at least once a second.

        Wherever the loop waits: for confirms, for a server, between two tries at a transaction.
        Raises BrokerFault, and `GiveUp` on a second signal or when the drain's time is over.
        """
        parts = self._parts
        parts.vitals.breathe()
        if parts.consumer.is_ready:
            parts.consumer.poll(0)
            self._state.note_consumers()
        if parts.publisher.is_ready:
            parts.publisher.pump()
            self._state.note_blocked(is_blocked=parts.publisher.blocked)
        if parts.consumer.is_ready:
            self._relief.take()
        parts.direct_replies.pump()
        self._state.log_if_asked()
        self._give_up_if_asked()

    def keep_alive(self) -> None:
        """Do what can be done in the middle of a call to the broker; raises `GiveUp`."""
        self._parts.vitals.breathe()
        self._give_up_if_asked()

    def end(self) -> None:
        """Give up no more: everything is being closed, and nothing of that is worth a long wait."""
        self._is_last = True
        self._parts.database.patience_s = _LAST_WAIT_S

    def _take_unanswered(self, waited_s: float) -> None:
        """Do the same while the database owes an answer, so leave all else for later."""
        parts = self._parts
        parts.vitals.breathe(silent_s=waited_s)
        # A connection that is lost now is found so when the batch is settled.
        with suppress(BrokerFault):
            if parts.is_broker_connected:
                parts.consumer.poll(0)
                parts.publisher.pump()
        parts.direct_replies.pump()
        self._give_up_if_asked()

    def _give_up_if_asked(self) -> None:
        parts = self._parts
        now_s = time.monotonic()
        if parts.signals.stop_requested:
            # From the first sight of it: the batch in hand is part of the drain.
            parts.vitals.draining()
            self._give_up_at_s = min(self._give_up_at_s, now_s + parts.settings.shutdown_timeout)
        if self._is_last:
            return
        if parts.signals.stop_now or now_s > self._give_up_at_s:
            raise GiveUp
