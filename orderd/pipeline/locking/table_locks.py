"""Tables that other sessions have locked: found after a lock wait, known until released."""

from collections.abc import Iterable, Mapping
from typing import Final

from orderd.db.connection import Database
from orderd.db.faults import DatabaseOutage
from orderd.logs.logger import LogEvent, emit
from orderd.pipeline.locking.holders import described
from orderd.pipeline.uses import SHARED, TRIES, Use, uses_of
from orderd.protocol.envelope import Command
from orderd.protocol.values import value
from orderd.shop.registry import SHOP

# The weakest use that each mode of lock keeps waiting.
_KEEPS_WAITING: Final = {
    "AccessExclusiveLock": Use.READ,
    "ExclusiveLock": Use.LOCK_ROWS,
    "ShareRowExclusiveLock": Use.WRITE,
    "ShareLock": Use.WRITE,
}
_TABLES: Final = (*SHOP.table_names, *SHARED, TRIES)


@value
class TableLock:
    """A lock that another session has on a table, or is waiting for.

    `pid` is None for a prepared transaction; `application` and `query_start` where not known.
    """

    table: str
    mode: str
    is_granted: bool
    pid: int | None
    application: str | None
    query_start: str | None

    def __str__(self) -> str:
        verb = "is locked by" if self.is_granted else "is about to be locked by"
        holder = described(self.pid, self.application, "query start", self.query_start)
        return f"table {self.table} {verb} {holder}"


class TableLocks:
    """Locks of other sessions on orderd's tables, known after a lock timeout."""

    def __init__(self, database: Database) -> None:
        """Ask *database*; nothing is known to be locked."""
        self._database = database
        self._known: tuple[TableLock, ...] = ()

    @property
    def are_known(self) -> bool:
        """Whether a table is known to be locked."""
        return bool(self._known)

    def find(self) -> None:
        """Find out which tables are locked; call it after a lock timeout."""
        self._note(self._look())

    def refresh(self) -> None:
        """Forget the locks that are gone; costs nothing while none is known.

        A lock that is new since `find` may be a short one: it is to be waited for first.
        """
        if self._known:
            known = {(lock.table, lock.pid) for lock in self._known}
            self._note(lock for lock in self._look() if (lock.table, lock.pid) in known)

    def against(self, command: Command) -> TableLock | None:
        """Return a lock that keeps *command* waiting, None where there is none."""
        if not self._known:
            return None
        uses = uses_of(command)
        return next((lock for lock in self._known if _keeps_waiting(lock, uses)), None)

    def raise_if_all_wait(self, *, has_suspects: bool) -> None:
        """Raise DatabaseOutage where a table is locked that every command needs."""
        needed = (*SHARED, TRIES) if has_suspects else SHARED
        for lock in self._known:
            if lock.table in needed:
                raise DatabaseOutage(f"every command waits: {lock}")

    def _look(self) -> list[TableLock]:
        with self._database.transaction() as tx:
            rows = tx.rows("table_locks", tables=list(_TABLES), modes=list(_KEEPS_WAITING))
        return [TableLock(*row) for row in rows]

    def _note(self, found: Iterable[TableLock]) -> None:
        """Remember what was *found*, and log each table once when it is locked and released."""
        before = {lock.table for lock in self._known}
        self._known = tuple(found)
        now = {lock.table: lock for lock in reversed(self._known)}
        for table, lock in now.items():
            if table not in before:
                emit(LogEvent.TABLE_LOCKED, str(lock))
        for table in sorted(before - now.keys()):
            emit(LogEvent.TABLE_UNLOCKED, f"table {table} is no longer locked")


def _keeps_waiting(lock: TableLock, uses: Mapping[str, Use]) -> bool:
    use = uses.get(lock.table)
    return use is not None and use >= _KEEPS_WAITING[lock.mode]
