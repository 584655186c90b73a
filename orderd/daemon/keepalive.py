"""What is done wherever the loop waits, so that everyone sees that it lives."""

import time
from contextlib import suppress
from typing import Final

from orderd.amqp.faults import BrokerFault
from orderd.daemon.app import App
from orderd.daemon.lifecycle import State
from orderd.daemon.memory_relief import MemoryRelief

# Statements that were sent together may each take their 10 s; and a COMMIT that waits for its
# standby is not to be left early, since its locks would stay.
_ANSWER_WAIT_S: Final = 120.0
_LAST_WAIT_S: Final = 5.0


class StopNow(BaseException):
    """Leave everything as it is: the broker delivers again what was not acked.

    No fault of a command's, so nothing that handles those may catch it.
    """


class KeepAlive:
    """Feeds watchdog, health file and heartbeats, and minds the signals, between two steps."""

    def __init__(self, app: App, state: State) -> None:
        """Breathe for the daemon of *app*, whose database does so too from now on."""
        self._app = app
        self._state = state
        self._relief = MemoryRelief(app, state)
        self._give_up_at_s = float("inf")
        self._is_last = False
        app.database.on_slice = self._take_unanswered
        app.database.patience_s = _ANSWER_WAIT_S

    def take(self) -> None:
        """Do what is due; to be called at least once a second.

        Wherever the loop waits: for confirms, for a server, between two tries at a transaction.
        Raises BrokerFault, and `StopNow` on a second signal or when the drain's time is over.
        """
        app = self._app
        app.status.breathe()
        if app.consumer.is_ready:
            app.consumer.poll(0)
            self._state.note_consumers()
        if app.publisher.is_ready:
            app.publisher.pump()
            self._state.note_blocked(is_blocked=app.publisher.blocked)
        if app.consumer.is_ready:
            self._relief.take()
        app.direct_replies.pump()
        self._state.log_if_asked()
        self._give_up_if_asked()

    def keep_alive(self) -> None:
        """Do what can be done in the middle of a call to the broker; raises `StopNow`."""
        self._app.status.breathe()
        self._give_up_if_asked()

    def end(self) -> None:
        """Give up no more: everything is being closed, and nothing of that is worth a long wait."""
        self._is_last = True
        self._app.database.patience_s = _LAST_WAIT_S

    def _take_unanswered(self, waited_s: float) -> None:
        """Do the same while the database owes an answer, so leave all else for later."""
        app = self._app
        app.status.breathe(silent_s=waited_s)
        # A connection that is lost now is found so when the batch is settled.
        with suppress(BrokerFault):
            if app.is_broker_connected:
                app.consumer.poll(0)
                app.publisher.pump()
        app.direct_replies.pump()
        self._give_up_if_asked()

    def _give_up_if_asked(self) -> None:
        app = self._app
        now_s = time.monotonic()
        if app.signals.stop_requested:
            # From the first sight of it: the batch in hand is part of the drain.
            app.status.draining()
            self._give_up_at_s = min(self._give_up_at_s, now_s + app.settings.shutdown_timeout)
        if self._is_last:
            return
        if app.signals.stop_now or now_s > self._give_up_at_s:
            raise StopNow
