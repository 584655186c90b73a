"""Keep-alive work, run during every wait of the daemon."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from orderd.amqp.faults import BrokerFault
from orderd.daemon.status_reporter import StatusReporter
from orderd.db.faults import DatabaseOutage
from orderd.runtime.signals import Signals

# Statements that were sent together may each take their 10 s; and a COMMIT that waits for its
# standby must not be left early, since its locks would stay.
_ANSWER_WAIT_S: Final = 120.0
_LAST_WAIT_S: Final = 5.0

Task = Callable[[], None]


class StopNow(BaseException):
    """Leave everything as it is: the broker delivers again what was not acked.

    Not a fault of a command, so nothing that handles those may catch it.
    """


class KeepAlive:
    """Feeds watchdog, health file and heartbeats during waits, and obeys signals that stop.

    One object for the whole daemon. Whoever waits calls it at least once a second: between two
    steps the object itself, in the middle of a call to the broker `during_call`, and while
    PostgreSQL owes an answer `during_statement`. All raise `StopNow` on a second signal or when the
    time of the drain is over.
    """

    def __init__(
        self, status: StatusReporter, signals: Signals, drain_timeout_s: Callable[[], float]
    ) -> None:
        """Show by *status* that the loop turns; after a stop signal, for *drain_timeout_s*."""
        self._status = status
        self._signals = signals
        self._drain_timeout_s = drain_timeout_s
        self._stop_at_s = float("inf")
        self._is_closing = False
        # Given by the app once the parts exist, since these are given the keep-alive themselves.
        self.tasks: tuple[Task, ...] = ()
        self.statement_tasks: tuple[Task, ...] = ()

    def __call__(self) -> None:
        """Do all that is due between two steps; raises `BrokerFault` too."""
        self._status.tick()
        for task in self.tasks:
            task()
        self._stop_if_asked()

    def during_call(self) -> None:
        """Do what can be done in the middle of a call to the broker."""
        self._status.tick()
        self._stop_if_asked()

    def during_statement(self, waited_s: float) -> None:
        """Do what can be done while PostgreSQL has owed an answer for *waited_s* seconds.

        Raises `DatabaseOutage` when that is too long.
        """
        patience_s = _LAST_WAIT_S if self._is_closing else _ANSWER_WAIT_S
        if waited_s >= patience_s:
            raise DatabaseOutage(f"no answer in {patience_s:g} s")
        self._status.tick(silent_s=waited_s)
        # A connection that is lost now is noticed when the batch is settled.
        with suppress(BrokerFault):
            for task in self.statement_tasks:
                task()
        self._stop_if_asked()

    def close(self) -> None:
        """Stop no more: everything is being closed, and nothing of that is worth a long wait."""
        self._is_closing = True

    def _stop_if_asked(self) -> None:
        now_s = time.monotonic()
        if self._signals.stop_requested:
            # The time of the drain includes that of the current batch.
            self._status.draining()
            self._stop_at_s = min(self._stop_at_s, now_s + self._drain_timeout_s())
        if not self._is_closing and (self._signals.stop_now or now_s > self._stop_at_s):
            raise StopNow
