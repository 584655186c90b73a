"""The table ``queue_pauses``: which queues are paused, for all daemons."""

from collections.abc import Collection
from datetime import datetime
from typing import Final

from orderd.db.connection import Database
from orderd.pipeline.kill_switch import Trip
from orderd.pipeline.records import recording
from orderd.protocol.values import value

TABLE: Final = "queue_pauses"
TRIAL_EVERY_S: Final = 30.0


@value
class Pause:
    """A pause, up to `ends_at`, by hand or because the action `tripped_by` failed.

    It is still on record, announced or not, for a while after it `has_ended`.
    """

    queue: str
    reason: str
    paused_by: str
    since: datetime
    ends_at: datetime | None
    tripped_by: str | None
    is_announced: bool
    has_ended: bool
    is_trial_due: bool


class PauseRecord:
    """Reads and writes pauses. All methods raise `DatabaseOutage`."""

    def __init__(self, database: Database, queues: Collection[str], paused_by: str) -> None:
        """Write to *database*, as *paused_by*; know pauses of *queues*, and of no others."""
        self._database = database
        self._queues = list(queues)
        self._paused_by = paused_by

    def read(self) -> list[Pause]:
        """Return what is on record."""
        with recording(self._database, TABLE) as tx:
            rows = tx.rows("read_pauses", queues=self._queues, trial_every_s=TRIAL_EVERY_S)
            return [Pause(*row) for row in rows]

    def claim_announcements(self) -> set[str]:
        """Return the queues of which this daemon, and no other, is to announce the pause."""
        return self._claim("claim_announcements")

    def delete_ended(self) -> set[str]:
        """Delete pauses that have ended; return the queues of which it is to announce that."""
        return self._claim("delete_ended_pauses")

    def claim_trial(self, queue: str) -> bool:
        """Return whether this daemon, and no other, is to try a message of *queue*."""
        with recording(self._database, TABLE) as tx:
            return bool(tx.rows("claim_trial", queue=queue, trial_every_s=TRIAL_EVERY_S))

    def write(self, trips: Collection[Trip], succeeded: Collection[tuple[str, str]]) -> None:
        """Pause the queues of *trips*; end the pauses of queues whose action has *succeeded*."""
        with recording(self._database, TABLE) as tx:
            for trip in trips:
                tx.later(
                    "trip_queue",
                    queue=trip.queue,
                    reason=trip.reason,
                    paused_by=self._paused_by,
                    action=trip.action,
                )
            for queue, action in succeeded:
                tx.later("resume_tripped", queue=queue, action=action)

    def _claim(self, query: str) -> set[str]:
        with recording(self._database, TABLE) as tx:
            return {queue for (queue,) in tx.rows(query, queues=self._queues)}
