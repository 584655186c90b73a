"""Events that a daemon, this or another, did not live to send: found in the outbox and claimed."""

import time
from collections.abc import Sequence
from typing import Final

from orderd.db.arrays import array
from orderd.db.connection import Database
from orderd.db.faults import LockedOut
from orderd.logs.logger import LogEvent, emit
from orderd.pipeline.outbox.postponed import Kept
from orderd.pipeline.outbox.rows import OutboxRow, RowKey
from orderd.pipeline.outbox.search import Search
from orderd.pipeline.outbox.split import apart

ROWS_MAX: Final = 500
PIECE_EVENTS: Final = 50
# In one call; where there is more to look at, the next call goes on.
LOOK_S_MAX: Final = 0.1
# The SQLSTATE of statement_timeout, as opposed to that of lock_timeout.
_QUERY_CANCELED: Final = "57014"


class Leftovers:
    """Claims rows that no daemon has claimed; several daemons may do so at once."""

    def __init__(self, database: Database) -> None:
        """Look into the outbox of *database*."""
        self._database = database
        self._search = Search()
        self._unclaimed = Kept(5.0, 600.0)

    def claim(self, grace_s: float) -> list[OutboxRow]:
        """Return rows, now claimed, that were unclaimed for *grace_s* seconds, by id.

        Rows that a trigger or lock keeps from being claimed are retried with a back-off.
        Raises `DatabaseOutage`, and `TransactionConflict` where the table is locked.
        """
        found = self._find(grace_s)
        again = self._unclaimed.due(ROWS_MAX)
        wanted = [key for key in found if key not in self._unclaimed or key in again]
        claimed: list[OutboxRow] = []

        def claim(part: Sequence[RowKey]) -> None:
            ids = array([row_id for row_id, _ in part])
            with self._database.transaction() as tx:
                tx.later("bound_housekeeping")
                taken = array([row[0] for row in tx.rows("claim_outbox", ids=ids, grace_s=grace_s)])
                rows = tx.pieces("read_claimed", rows_max=PIECE_EVENTS, ids=taken)
            claimed.extend(OutboxRow(*row) for row in rows)

        failed = apart(wanted, claim)
        if again:
            self._unclaimed.note(again, failed)
        if failed and not len(self._unclaimed):
            (row_id, _), why = next(iter(failed.items()))
            text = f"{len(failed)} rows of the outbox cannot be claimed, row {row_id}: {why}"
            emit(LogEvent.OUTBOX_CLEANUP_DELAYED, f"{text}; their events are sent later")
        self._unclaimed.add(failed)
        return sorted(claimed)

    def _find(self, grace_s: float) -> list[RowKey]:
        """Return the rows found next, at most `ROWS_MAX`; the search goes on at the next call."""
        search = self._search
        until_s = time.monotonic() + LOOK_S_MAX
        found: list[RowKey] = []
        is_over = not search.is_due
        while not is_over and len(found) < ROWS_MAX and time.monotonic() < until_s:
            started_s = time.monotonic()
            rows_max = ROWS_MAX - len(found)
            try:
                rows = self._look(grace_s, rows_max)
            except LockedOut as fault:
                if getattr(fault.__cause__, "pgcode", None) != _QUERY_CANCELED:
                    raise
                search.took_too_long()
                break
            found += rows
            last_id = rows[-1][0] if len(rows) == rows_max else None
            took_s = time.monotonic() - started_s
            is_over = search.went_on(took_s, last_id, has_found=bool(rows))
        return found

    def _look(self, grace_s: float, rows_max: int) -> list[RowKey]:
        search = self._search
        with self._database.transaction() as tx:
            tx.later("bound_look")
            rows = tx.rows(
                "find_left_behind",
                grace_s=grace_s,
                after=str(search.after),
                upto=str(search.upto),
                rows_max=rows_max,
            )
        return [(row_id, message_id) for row_id, message_id in rows]
