"""Deleting the outbox's rows whose events the broker has, in transactions of its own.

Whatever keeps a row from being deleted costs no command anything: the row is kept, its event is not
sent again, and the deletion is tried again ever later.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Final

from orderd.db.arrays import array
from orderd.db.connection import Database
from orderd.db.faults import LockedOut
from orderd.logs.logger import LogEvent, emit
from orderd.pipeline.outbox.postponed import Kept
from orderd.pipeline.outbox.rows import DELETE_ROWS_MAX, Confirmed, RowKey
from orderd.pipeline.outbox.split import apart
from orderd.runtime.crash_points import reach

_TOLD_EVERY_S: Final = 10.0
_SWALLOWED: Final = "a trigger, rule or row security of others keeps the row"


class Deletion:
    """Deletes what is confirmed, many rows at a time."""

    def __init__(self, database: Database, confirmed: Confirmed) -> None:
        """Work for what *confirmed* collects."""
        self._database = database
        self._confirmed = confirmed
        self._locked = Kept(1.0, 10.0)
        self._protected = Kept(5.0, 600.0)
        # Why a whole chunk could not be deleted, until some of it can.
        self._protects_all = ""
        self._told_s = float("-inf")
        self._untold = 0

    def run(self, gather_s: float) -> None:
        """Delete the rows that have gathered for *gather_s* or are many.

        Raises `DatabaseOutage` where the server is away; nothing else that goes wrong is raised.
        """
        has_deleted = False
        while rows := self._confirmed.oldest() if self._confirmed.due_in_s(gather_s) <= 0 else []:
            self._delete_or_keep(rows)
            self._confirmed.forget(len(rows))
            has_deleted = True
        for kept in (self._locked, self._protected):
            if tried := kept.due(DELETE_ROWS_MAX):
                self._try_again(kept, tried)
        if has_deleted:
            reach("outbox_marked")

    def hasten(self) -> None:
        """Try again now to delete what is kept."""
        for kept in (self._locked, self._protected):
            kept.hasten()

    def is_sent(self, row: RowKey) -> bool:
        """Return whether the broker has the event of *row*, which could not be deleted."""
        return row in self._locked or row in self._protected

    def _delete_or_keep(self, rows: Sequence[RowKey]) -> None:
        """Delete *rows*; keep those that cannot be deleted, marked as not to be sent again."""
        if self._protects_all:
            # Not tried for each: what holds all rows would hold the loop up as well.
            locked, protected = set[RowKey](), dict.fromkeys(rows, self._protects_all)
        else:
            locked, protected = self._delete(rows)
        if len(protected) == len(rows) > 1:
            self._protects_all = next(iter(protected.values()))
        self._keep_locked(locked)
        self._keep_protected(protected)

    def _try_again(self, kept: Kept, tried: Sequence[RowKey]) -> None:
        """Delete what was kept before; what still cannot be deleted stays."""
        locked, protected = self._delete(tried)
        left = locked | protected.keys()
        if kept is self._locked:
            self._keep_protected(protected)
            left = locked
        else:
            # Somebody may have had them sent again.
            self._mark(protected)
            if len(left) < len(tried):
                self._protects_all = ""
        kept.note(tried, left)

    def _delete(self, rows: Sequence[RowKey]) -> tuple[set[RowKey], dict[RowKey, str]]:
        """Delete *rows*; return those that are locked, and those protected, with the reason."""
        locked: set[RowKey] = set()
        swallowed: dict[RowKey, str] = {}

        def delete(part: Sequence[RowKey]) -> None:
            with self._database.transaction() as tx:
                tx.later("bound_housekeeping")
                deleted = tx.count("delete_outbox", **_keys(part))
                is_all = deleted == len(part)
                left = [] if is_all else tx.rows("find_undeleted", **_keys(part))
            for row_id, message_id, is_locked in left:
                if is_locked:
                    locked.add((row_id, message_id))
                else:
                    swallowed[row_id, message_id] = _SWALLOWED

        failed = apart(rows, delete)
        return locked, swallowed | failed

    def _keep_locked(self, rows: Collection[RowKey]) -> None:
        if rows and not len(self._locked):
            text = f"{len(rows)} rows of the outbox are locked by another session"
            emit(
                LogEvent.OUTBOX_CLEANUP_DELAYED,
                f"{text}; their events were sent; the rows are deleted later",
            )
        self._locked.add(rows)

    def _keep_protected(self, rows: Mapping[RowKey, str]) -> None:
        if not rows:
            return
        self._mark(rows)
        self._protected.add(rows)
        self._untold += len(rows)
        if time.monotonic() - self._told_s >= _TOLD_EVERY_S:
            (row_id, _), why = next(iter(rows.items()))
            text = f"{self._untold} rows of the outbox cannot be deleted, row {row_id}: {why}"
            emit(
                LogEvent.OUTBOX_CLEANUP_DELAYED,
                f"{text}; their events were sent and are not sent again",
            )
            self._told_s, self._untold = time.monotonic(), 0

    def _mark(self, protected: Mapping[RowKey, str]) -> None:
        """Mark rows that cannot be deleted, so that no daemon sends their events again."""
        reasons: dict[str, list[RowKey]] = {}
        for row, why in protected.items():
            reasons.setdefault(f"sent, but not deleted: {why}", []).append(row)
        for reason, rows in reasons.items():

            def mark(part: Sequence[RowKey], reason: str = reason) -> None:
                with self._database.transaction() as tx:
                    tx.later("bound_housekeeping")
                    tx.later("keep_sent", reason=reason, **_keys(part))

            # While the table itself is locked, no daemon can send them.
            with suppress(LockedOut):
                apart(rows, mark, give_up=(LockedOut,))


def _keys(rows: Sequence[RowKey]) -> dict[str, str]:
    ids, message_ids = zip(*rows, strict=True)
    return {"ids": array(ids), "message_ids": array(message_ids)}
