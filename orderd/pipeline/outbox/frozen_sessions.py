"""Ending the sessions of daemons that stand still in the middle of an answer."""

import time
from typing import Final

from orderd.db.connection import Database
from orderd.db.faults import SchemaFault
from orderd.logs.logger import LogEvent, emit

LONGEST_S: Final = 40.0
_LOOK_EVERY_S: Final = 10.0


class FrozenSessions:
    """Ends what the server itself does not: a session that waits for its client to read."""

    def __init__(self, database: Database) -> None:
        """Look for other sessions of the role and the name of *database*."""
        self._database = database
        self._next_s = 0.0

    def end(self, longest_s: float = LONGEST_S) -> None:
        """End the sessions that have waited for *longest_s* seconds; looks every ten seconds.

        Raises `DatabaseOutage` and `TransactionConflict`.
        """
        if time.monotonic() < self._next_s:
            return
        self._next_s = time.monotonic() + _LOOK_EVERY_S
        try:
            with self._database.transaction() as tx:
                ended = [
                    pid for pid, is_done in tx.rows("end_frozen", longest_s=longest_s) if is_done
                ]
        except SchemaFault:
            # Ending sessions is not for everybody here.
            self._next_s = float("inf")
            return
        for pid in ended:
            text = f"pid {pid} of PostgreSQL: its orderd has read no answer for {longest_s:g} s"
            emit(LogEvent.SESSION_TERMINATED, text)
