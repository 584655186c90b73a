"""Whether the broker closes the connection over a message that it cannot deliver."""

import time
from typing import Final

from orderd.amqp.faults import INTERNAL_ERROR

# So many times the connection may be cut (541) within so many seconds.
_CUTS_MAX: Final = 2
_YOUNG_S: Final = 10.0


class ConnectionCuts:
    """Counts the connections that were cut right after they were made, one after the other.

    Again and again that is no outage: then the queues are to be consumed apart.
    """

    def __init__(self) -> None:
        self._count = 0
        self._was_cut = False
        self._connected_s = 0.0

    def begin(self) -> bool:
        """Note a new connection; return whether too many of those before were cut."""
        self._count = self._count + 1 if self._was_cut else 0
        self._was_cut = False
        self._connected_s = time.monotonic()
        return self._count >= _CUTS_MAX

    def note(self, loss_code: int | None) -> None:
        """Note that the connection is lost, and the broker's code for that."""
        is_young = time.monotonic() - self._connected_s < _YOUNG_S
        self._was_cut = is_young and loss_code == INTERNAL_ERROR
