"""The daemon's entry in the table ``daemons``: for people to see; nothing is decided by it."""

import os
import time
from collections.abc import Callable
from typing import Final
from uuid import uuid4

from orderd import __version__
from orderd.daemon.lifecycle import Lifecycle
from orderd.db.connection import Database
from orderd.pipeline.records import recording
from orderd.pipeline.stats import Stats

TABLE: Final = "daemons"
WRITE_EVERY_S: Final = 10.0
STOPPED: Final = "stopped"


class FleetEntry:
    """Keeps the entry of this process, which ends with it."""

    def __init__(
        self,
        database: Database,
        program: str,
        instance: str,
        lifecycle: Lifecycle,
        stats: Stats,
        *,
        in_hand: Callable[[], int],
    ) -> None:
        """Write to *database*, as *instance* of *program*.

        *in_hand* tells how many messages are unacked.
        """
        self._database = database
        self._lifecycle = lifecycle
        self._stats = stats
        self._in_hand = in_hand
        self._fixed = {
            "id": str(uuid4()),
            "program": program,
            "instance": instance,
            "host": os.uname().nodename,
            "pid": os.getpid(),
            "version": __version__,
        }
        self._next_s = 0.0
        self._state = ""
        self._state_since_s = self._counted_s = time.monotonic()
        self._counted = 0

    def turn(self) -> None:
        """Write the entry where it is time for that; raises `DatabaseOutage`."""
        if time.monotonic() >= self._next_s:
            self._write(str(self._lifecycle.phase))

    def end(self) -> None:
        """Write that the daemon ends; raises `DatabaseOutage`."""
        self._write(STOPPED)

    def _write(self, state: str) -> None:
        now_s = time.monotonic()
        self._next_s = now_s + WRITE_EVERY_S
        if state != self._state:
            self._state, self._state_since_s = state, now_s
        settled, passed_s = self._stats.settled, max(now_s - self._counted_s, 0.001)
        rate = (settled - self._counted) / passed_s
        self._counted, self._counted_s = settled, now_s
        committed_s = self._stats.committed_s
        with recording(self._database, TABLE) as tx:
            # A line that a power failure takes is written again.
            tx.later("no_sync")
            tx.later(
                "write_daemon",
                **self._fixed,
                state=state,
                state_s=now_s - self._state_since_s,
                paused_queues=",".join(self._lifecycle.paused_queues),
                messages_per_s=round(rate, 1),
                in_hand=self._in_hand(),
                commit_age_s=None if committed_s is None else now_s - committed_s,
            )
            tx.later("forget_daemons")
