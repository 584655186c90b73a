"""What others have locked, tables and rows: who has met a lock once does not wait for it again."""

from orderd.db.connection import Database
from orderd.db.faults import LockedOut
from orderd.pipeline.locking.row_locks import RowLock, RowLocks
from orderd.pipeline.locking.table_locks import TableLock, TableLocks
from orderd.protocol.envelope import Command


class Locks:
    """Locks of other sessions, known after a lock timeout."""

    def __init__(self, database: Database) -> None:
        """Ask *database*; nothing is known to be locked."""
        self._tables = TableLocks(database)
        self._rows = RowLocks(database)

    @property
    def are_known(self) -> bool:
        """Whether a table or a row is known to be locked."""
        return self._tables.are_known or self._rows.are_known

    def find(self, fault: LockedOut, *, has_suspects: bool) -> LockedOut:
        """Find out what is locked after a lock timeout; return *fault*, with the holder if known.

        Raises `DatabaseOutage` where a table is locked that every command needs.
        """
        self._tables.find()
        self._tables.raise_if_all_wait(has_suspects=has_suspects)
        return self._rows.find(fault)

    def refresh(self) -> None:
        """Forget the locks that are gone; costs nothing while none is known."""
        self._tables.refresh()
        self._rows.refresh()

    def raise_if_all_wait(self, *, has_suspects: bool) -> None:
        """Raise DatabaseOutage where a table is locked that every command needs."""
        self._tables.raise_if_all_wait(has_suspects=has_suspects)

    def against(self, command: Command) -> TableLock | RowLock | None:
        """Return a lock that keeps *command* waiting, None where none is known.

        One whose time is over is refused, and waits for no table but those that all need.
        """
        if command.is_expired:
            return None
        return self._tables.against(command) or self._rows.against(command)
