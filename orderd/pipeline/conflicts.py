"""Repeats a transaction as often as that helps; then its fault is the caller's to judge."""

from collections.abc import Sequence
from typing import Final

from orderd.amqp.faults import BrokerFault
from orderd.db.connection import Database
from orderd.db.faults import (
    DatabaseOutage,
    IdsTaken,
    LockedOut,
    SchemaFault,
    ServerFault,
    TransactionConflict,
)
from orderd.logs.logger import LogEvent, emit
from orderd.pipeline.context import BatchContext, Withheld
from orderd.pipeline.ids import IdPool, catch_up
from orderd.pipeline.locking.probe import Probe
from orderd.pipeline.requests import Request
from orderd.pipeline.results import Result
from orderd.pipeline.transact import BatchTransaction
from orderd.protocol.names import Queue

TRIES_MAX: Final = 3
# How many ids are skipped, beyond those known to be taken, at each catching up in a try: rows that
# are not committed yet cannot be seen.
LEAPS: Final = (0, 100, 10_000)


class NotCommitted(Exception):
    """A group cannot be committed as a whole; `fault` is what its last try met."""

    def __init__(self, fault: Exception) -> None:
        """Say so of *fault*."""
        super().__init__(str(fault))
        self.fault = fault


class ConflictRetry:
    """Repeats transactions that met a conflict with another session."""

    def __init__(
        self,
        database: Database,
        transaction: BatchTransaction,
        context: BatchContext,
        ids: IdPool,
        probe: Probe,
    ) -> None:
        """Repeat *transaction* on *database*; *probe* tells whether every transaction fails."""
        self._database = database
        self._transaction = transaction
        self._context = context
        self._ids = ids
        self._probe = probe

    def run(self, group: Sequence[Request], *, is_split: bool) -> list[Result]:
        """Return the results of *group*, committed in one transaction.

        Raises `NotCommitted` where others may be committed without one of the group;
        `DatabaseOutage` and `SchemaFault` where no command could be committed; and `BrokerFault` or
        `Withheld` where the group cannot be settled now.
        """
        arriving: frozenset[Queue] | None = None
        tries = 1
        while True:
            try:
                results = self._with_free_ids(group, arriving, is_split=is_split)
            except (TransactionConflict, SchemaFault, ServerFault) as error:
                self._context.keep_alive()
                if self._is_final(error, len(group), is_split=is_split) or tries == TRIES_MAX:
                    raise NotCommitted(error) from error
                emit(LogEvent.BATCH_RETRIED, str(error), batch_size=len(group))
                tries += 1
            except (BrokerFault, Withheld):
                raise
            except DatabaseOutage:
                # A COMMIT whose outcome is unknown may have used ids from the pool.
                self._ids.clear()
                raise
            except Exception as error:
                raise NotCommitted(error) from error
            else:
                if results is not None:
                    return results
                arriving = self._context.arriving([request.delivery for request in group])

    def _is_final(self, fault: Exception, group_size: int, *, is_split: bool) -> bool:
        """Return whether the whole group would meet *fault* again.

        Raises `DatabaseOutage` and `SchemaFault` where every command would meet it.
        """
        if isinstance(fault, TransactionConflict):
            is_split_next = is_split and group_size > 1
            return is_split_next or isinstance(fault, LockedOut | IdsTaken)
        self._ids.clear()
        self._probe.raise_if_for_all()
        # All but the one that is at fault may get through.
        return group_size > 1

    def _with_free_ids(
        self, group: Sequence[Request], arriving: frozenset[Queue] | None, *, is_split: bool
    ) -> list[Result] | None:
        """Run the transaction, with other ids where rows of other programs have those."""
        leaps = list(LEAPS)
        while True:
            try:
                return self._transaction.run(group, arriving, is_split=is_split)
            except IdsTaken as error:
                table = error.table
                self._ids.forget(table)
                if not leaps:
                    raise
                emit(LogEvent.BATCH_RETRIED, str(error), batch_size=len(group))
            self._context.keep_alive()
            catch_up(self._database, table, leaps.pop(0), self._context.keep_alive)
