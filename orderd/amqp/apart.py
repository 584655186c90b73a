"""Connections of their own, for queues of which one makes the broker close its connection."""

from contextlib import suppress

from orderd.amqp.connection import Connection
from orderd.amqp.faults import BrokerFault


class Apart:
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

    def turn(self) -> None:
        """Do on each what can be done right now; what is lost of them is found out later."""
        for own in self._own.values():
            with suppress(BrokerFault):
                own.turn(0)

    def take(self, queue: str) -> Connection | None:
        """Return, once, the one of *queue*, None where it has none."""
        return self._own.pop(queue, None)

    def close(self) -> None:
        """Close all; never raises."""
        for own in self._own.values():
            own.close()
        self._own.clear()
