"""A transaction done again, as often as that helps; then its fault, for the caller to judge."""

from collections.abc import Callable, Sequence
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
from orderd.logs.logger import Event, emit
from orderd.pipeline.context import BatchContext, Withheld
from orderd.pipeline.ids import IdPool, catch_up
from orderd.pipeline.locking.probe import Probe
from orderd.pipeline.requests import Request
from orderd.pipeline.results import Result
from orderd.protocol.names import Queue
from orderd.shop.decide import ArrivalsUnknown

# What is done with the queues that may still bring something; None: nobody has asked.
Transact = Callable[[frozenset[Queue] | None], list[Result]]

TRIES_MAX: Final = 3
# How many ids are left out, beyond those known to be taken, at each catching up in a try: rows that
# are not committed yet cannot be seen.
LEAPS: Final = (0, 100, 10_000)


class ConflictRetry:
    """Does transactions again that others were in the way of."""

    def __init__(self, database: Database, ids: IdPool, probe: Probe) -> None:
        """Retry on *database* with *ids*; *probe* tells whether every transaction fails."""
        self._database = database
        self._ids = ids
        self._probe = probe

    def results(
        self,
        transact: Transact,
        group: Sequence[Request],
        context: BatchContext,
        *,
        is_cut: bool,
    ) -> list[Result] | Exception:
        """Return the results of *transact* for *group*, or what kept it from being committed.

        Raises `DatabaseOutage` and `SchemaFault` where every command would meet it.
        """
        arriving: frozenset[Queue] | None = None
        tries = 1
        while True:
            try:
                return self._with_free_ids(transact, arriving, group, context)
            except ArrivalsUnknown:
                arriving = context.arriving([request.delivery for request in group])
            except (TransactionConflict, SchemaFault, ServerFault) as error:
                context.keep_alive()
                if self._is_final(error, len(group), is_cut=is_cut) or tries == TRIES_MAX:
                    return error
                emit(Event.BATCH_RETRIED, str(error), batch_size=len(group))
                tries += 1
            except (BrokerFault, Withheld):
                raise
            except DatabaseOutage:
                # A COMMIT whose outcome is unknown may have used ids from the pool.
                self._ids.clear()
                raise
            except Exception as error:  # noqa: BLE001 - cut up by the caller, to find whose it is
                return error

    def _is_final(self, fault: Exception, group_size: int, *, is_cut: bool) -> bool:
        """Return whether it is of no use to do the whole group again after *fault*.

        Raises `DatabaseOutage` and `SchemaFault` where every command would meet it.
        """
        if isinstance(fault, TransactionConflict):
            is_cut_up_next = is_cut and group_size > 1
            return is_cut_up_next or isinstance(fault, LockedOut | IdsTaken)
        self._ids.clear()
        self._probe.raise_if_for_all()
        # All but the one that is at fault may get through.
        return group_size > 1

    def _with_free_ids(
        self,
        transact: Transact,
        arriving: frozenset[Queue] | None,
        group: Sequence[Request],
        context: BatchContext,
    ) -> list[Result]:
        """Return the results of *transact*, with other ids where rows of others have them."""
        leaps = list(LEAPS)
        while True:
            try:
                return transact(arriving)
            except IdsTaken as error:
                table = error.table
                self._ids.forget(table)
                if not leaps:
                    raise
                emit(Event.BATCH_RETRIED, str(error), batch_size=len(group))
            context.keep_alive()
            catch_up(self._database, table, leaps.pop(0), context.keep_alive)
