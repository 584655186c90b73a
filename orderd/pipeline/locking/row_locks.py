"""Rows that other sessions have locked: found after a lock wait, known until released."""

from contextlib import suppress
from typing import Final

from orderd.db.connection import Database
from orderd.db.faults import LockedOut, RowFault, SchemaFault, TransactionConflict
from orderd.db.transaction import Transaction
from orderd.pipeline.locking.holders import described
from orderd.protocol.envelope import Command
from orderd.protocol.values import value
from orderd.shop.registry import SHOP

# The tables whose rows are locked, each in one and the same mode where they are to be changed.
_CHANGED: Final = frozenset(table.name for table in SHOP.lock_order)
_KNOWN_MAX: Final = 1_000


@value
class Holder:
    """A transaction of another session; `pid` is None for a prepared one."""

    xid: int
    pid: int | None
    application: str | None
    since: str | None

    def __str__(self) -> str:
        return described(self.pid, self.application, "transaction start", self.since)


@value
class RowLock:
    """A lock that another session has on a row."""

    table: str
    row_id: int
    holder: Holder

    def __str__(self) -> str:
        return f"row {self.row_id} of table {self.table} is locked by {self.holder}"


class RowLocks:
    """Locks of other sessions on rows, known after a lock timeout."""

    def __init__(self, database: Database) -> None:
        """Ask *database*; nothing is known to be locked."""
        self._database = database
        self._known: dict[tuple[str, int], RowLock] = {}

    @property
    def are_known(self) -> bool:
        """Whether a row is known to be locked."""
        return bool(self._known)

    def find(self, fault: LockedOut) -> LockedOut:
        """Find out who holds the lock of *fault*; return it, naming the holder if known."""
        if fault.table not in SHOP.table_names:
            return fault
        # Who holds a row may have a lock on the table as well by now.
        with (
            suppress(TransactionConflict, RowFault, SchemaFault),
            self._database.transaction() as tx,
        ):
            said = self._found(tx, fault.table, fault.tid)
            if said:
                return LockedOut(f"{fault}: {said}", fault.table, fault.tid)
        return fault

    def refresh(self) -> None:
        """Forget the locks that are gone; costs nothing while none is known."""
        if self._known:
            with self._database.transaction() as tx:
                xids = sorted({lock.holder.xid for lock in self._known.values()})
                running = {row[0] for row in tx.rows("running_transactions", xids=xids)}
            self._known = {
                key: lock for key, lock in self._known.items() if lock.holder.xid in running
            }

    def against(self, command: Command) -> RowLock | None:
        """Return a lock that keeps *command* waiting, None where none is known."""
        if not self._known or command.content.is_query:
            return None
        changed = SHOP.needs_of([command]).changed
        wanted = ((table.name, row_id) for table, ids in changed.items() for row_id in ids)
        return next((self._known[key] for key in wanted if key in self._known), None)

    def _found(self, tx: Transaction, table: str, tid: str | None) -> str:
        """Return a description of who holds, or may hold, the row at *tid*; empty if none does."""
        rows = tx.rows(f"locked_{table}", tid=tid) if tid else []
        for row_id, xid in rows:
            for holder in tx.rows("running_transactions", xids=[xid]):
                lock = RowLock(table, row_id, Holder(*holder))
                if table in _CHANGED and len(self._known) < _KNOWN_MAX:
                    self._known[table, row_id] = lock
                return str(lock)
        holders = [str(Holder(*row)) for row in tx.rows("transactions_on_table", table=table)]
        what = f"row {rows[0][0]}" if rows else "a row"
        if not holders:
            return ""
        return f"{what} of table {table} is locked, perhaps by {' or '.join(holders)}"
