"""Big bodies in hand can raise the broker's memory alarm themselves: then they go back to it."""

import time
from typing import Final

from orderd.daemon.app import App
from orderd.daemon.lifecycle import State

# An alarm that is over by then costs nobody a delivery.
_MOMENT_S: Final = 2.0
# Less in hand than this raises no alarm.
_RELIEF_BYTES: Final = 1024 * 1024


class MemoryRelief:
    """Gives back in an alarm what is not begun, where that is much, and takes no more until then.

    After the alarm messages are taken one at a time first.
    """

    def __init__(self, app: App, state: State) -> None:
        self._app = app
        self._state = state
        self._blocked_since_s: float | None = None

    def take(self) -> None:
        """Do what is due, to be called freely; raises BrokerFault."""
        publisher, consumer = self._app.publisher, self._app.consumer
        if not publisher.is_ready:
            return
        if not publisher.blocked:
            self._blocked_since_s = None
            if consumer.is_paused:
                consumer.resume()
            return
        now_s = time.monotonic()
        if self._blocked_since_s is None:
            self._blocked_since_s = now_s
        is_due = now_s - self._blocked_since_s >= _MOMENT_S
        if is_due and (consumer.is_paused or consumer.body_bytes > _RELIEF_BYTES):
            self._give_back()

    def _give_back(self) -> None:
        consumer = self._app.consumer
        if consumer.is_paused and not (consumer.inbox or consumer.worn):
            return
        if given := consumer.pause(self._app.status.breathe):
            self._state.gave_back(given)
