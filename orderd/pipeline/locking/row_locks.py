"""Rows that other sessions have locked: found after a lock wait, known until released."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from orderd.db.connection import Database
from orderd.db.faults import LockedOut, RowFault, SchemaFault, TransactionConflict
from orderd.db.transaction import Transaction
from orderd.pipeline.locking.holders import described
from orderd.protocol.envelope import Command
from orderd.shop.needs import Needs, needs_of

# The rows that are locked in one and the same mode, by the names of their tables.
_CHANGED: Final[Mapping[str, Callable[[Needs], set[int]]]] = {
    "users": lambda needs: needs.users_to_change,
    "products": lambda needs: needs.products_to_change,
    "orders": lambda needs: needs.orders_to_change,
}
# The query that tells which row of a table is at a place, and who has locked it.
_AT_PLACE: Final = {
    "users": "locked_users",
    "products": "locked_products",
    "orders": "locked_orders",
    "order_items": "locked_order_items",
}
_KNOWN_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class Holder:
    """A transaction of another session; `pid` is None for a prepared one."""

    xid: int
    pid: int | None
    application: str | None
    since: str | None

    def __str__(self) -> str:
        return described(self.pid, self.application, "transaction start", self.since)


@dataclass(frozen=True, slots=True)
class RowLock:
    """A lock that another session has on a row."""

    table: str
    row_id: int
    holder: Holder

    def __str__(self) -> str:
        return f"row {self.row_id} of table {self.table} is locked by {self.holder}"


class RowLocks:
    """The locks of others on rows, as far as one has been waited for in vain."""

    def __init__(self, database: Database) -> None:
        """Ask *database*; nothing is known to be locked."""
        self._database = database
        self._known: dict[tuple[str, int], RowLock] = {}

    @property
    def are_known(self) -> bool:
        """Whether a row is known to be locked."""
        return bool(self._known)

    def find(self, fault: LockedOut) -> LockedOut:
        """Find out who holds what was waited for in vain; return *fault*, saying so where known."""
        if fault.table not in _AT_PLACE:
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
        needs = needs_of([command])
        wanted = ((table, row_id) for table, ids in _CHANGED.items() for row_id in ids(needs))
        return next((self._known[key] for key in wanted if key in self._known), None)

    def _found(self, tx: Transaction, table: str, tid: str | None) -> str:
        """Return in words who holds the row at *tid*, or else who may; empty where nobody does."""
        rows = tx.rows(_AT_PLACE[table], tid=tid) if tid else []
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
