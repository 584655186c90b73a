"""Events that a daemon, this or another, did not live to send: found in the outbox and claimed."""

from collections.abc import Sequence
from typing import Final

from orderd.db.arrays import array
from orderd.db.connection import Database
from orderd.ops.logs import Event, emit
from orderd.outbox.apart import apart
from orderd.outbox.kept import Kept
from orderd.outbox.rows import OutboxRow, RowKey

ROWS_MAX: Final = 500


class Leftovers:
    """Claims rows that nobody else looks after; several daemons may do so at once."""

    def __init__(self, database: Database) -> None:
        """Look into the outbox of *database*."""
        self._database = database
        self._unclaimed = Kept(5.0, 600.0)

    def claim(self, grace_s: float) -> list[OutboxRow]:
        """Return rows, now claimed, that nobody had claimed for *grace_s* seconds, by id.

        Rows that somebody's trigger or lock keeps from being claimed are tried again ever later.
        Raises `DatabaseOutage`, and `TransactionConflict` where the table is locked.
        """
        with self._database.transaction() as tx:
            tx.later("bound_housekeeping")
            found = [
                (row_id, message_id)
                for row_id, message_id in tx.rows(
                    "find_left_behind", grace_s=grace_s, rows_max=ROWS_MAX
                )
            ]
        again = self._unclaimed.due(ROWS_MAX)
        wanted = [key for key in found if key not in self._unclaimed or key in again]
        claimed: list[OutboxRow] = []

        def claim(part: Sequence[RowKey]) -> None:
            ids = array([row_id for row_id, _ in part])
            with self._database.transaction() as tx:
                tx.later("bound_housekeeping")
                rows = tx.rows("claim_outbox", ids=ids, grace_s=grace_s)
            claimed.extend(OutboxRow(*row) for row in rows)

        failed = apart(wanted, claim)
        if again:
            self._unclaimed.note(again, failed)
        if failed and not len(self._unclaimed):
            (row_id, _), why = next(iter(failed.items()))
            text = f"{len(failed)} rows of the outbox cannot be claimed, row {row_id}: {why}"
            emit(Event.OUTBOX_DELAYED, f"{text}; their events are sent later")
        self._unclaimed.add(failed)
        return sorted(claimed)
