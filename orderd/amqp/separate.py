"""Connections of their own, for queues of which one makes the broker close its connection."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from orderd.amqp.connection import Connection
from orderd.amqp.faults import BrokerFault

# How long one connection is waited for before the next one is looked at.
_ALTERNATE_S: Final = 0.02


class SeparateConnections:
    """Connections like *main*, one for each queue that is consumed while `is_wanted`."""

    def __init__(self, main: Connection) -> None:
        self._main = main
        self._own: dict[str, Connection] = {}
        self.is_wanted = False

    def __bool__(self) -> bool:
        """Return whether there is any."""
        return bool(self._own)

    def connection_for(self, queue: str) -> Connection:
        """Return the one for *queue*, open: the main one where none of its own is wanted."""
        if not self.is_wanted:
            return self._main
        own = self._own.get(queue)
        if own is None or not own.is_open:
            self._own[queue] = own = self._main.another()
            own.open()
        return own

    def serve(self, timeout_s: float, received: Callable[[], int]) -> None:
        """Service all in turn, until *received* counts something more or the time is over.

        What is lost of them is found out later, the main one excepted: BrokerFault.
        """
        until_s = time.monotonic() + timeout_s
        before = received()
        while True:
            for own in self._own.values():
                with suppress(BrokerFault):
                    own.turn(0)
            left_s = until_s - time.monotonic()
            is_over = left_s <= 0 or received() > before
            self._main.turn(0 if is_over else min(left_s, _ALTERNATE_S))
            if is_over:
                return

    def take(self, queue: str) -> Connection | None:
        """Return, once, the one of *queue*, None where it has none."""
        return self._own.pop(queue, None)

    def close(self) -> None:
        """Close all; never raises."""
        for own in self._own.values():
            own.close()
        self._own.clear()
