"""Committing: requests in as few transactions as possible, and each fault down to its command."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Final

from orderd.db.connection import Database
from orderd.db.faults import LockedOut, UniqueTaken
from orderd.db.transaction import Transaction
from orderd.logs.logger import LogEvent, emit
from orderd.pipeline.conflicts import ConflictRetry, NotCommitted
from orderd.pipeline.context import BatchContext
from orderd.pipeline.deferrals import Deferrals
from orderd.pipeline.duplicates import as_taken
from orderd.pipeline.ids import IdPool
from orderd.pipeline.load import open_world
from orderd.pipeline.locking.locks import Locks
from orderd.pipeline.locking.probe import Probe
from orderd.pipeline.measures import Measures
from orderd.pipeline.policy import Policy
from orderd.pipeline.quarantine import Quarantine, was_tried
from orderd.pipeline.requests import Request, portions
from orderd.pipeline.results import Result
from orderd.pipeline.transact import BatchTransaction
from orderd.protocol.names import Queue
from orderd.shop.registry import SHOP

_QUEUE_RANK: Final[Mapping[str, int]] = {queue: rank for rank, queue in enumerate(Queue)}


class Committer:
    """Turns requests into committed results."""

    def __init__(
        self,
        database: Database,
        policy: Policy,
        context: BatchContext,
        *,
        quarantine: Quarantine,
        deferrals: Deferrals,
        measures: Measures,
    ) -> None:
        """Work on *database* as *policy* says; *context* answers what only the broker knows."""
        self._database = database
        self._policy = policy
        self._context = context
        self._quarantine = quarantine
        self._deferrals = deferrals
        self._locks = Locks(database)
        self._probe = Probe(database)
        self._ids = IdPool()
        self._transaction = BatchTransaction(
            database, self._ids, policy, context, deferrals, measures=measures
        )
        self._retry = ConflictRetry(database, self._transaction, context, self._ids, self._probe)

    @property
    def has_committed(self) -> bool:
        """Whether any transaction was committed yet."""
        return self._transaction.has_committed

    def commit(self, requests: Sequence[Request]) -> Iterator[list[Result]]:
        """Yield the results of *requests*, transaction by transaction, each committed.

        Users go first, then products, then orders; within a queue in the order of delivery. What
        one transaction leads to is settled before the next one begins.
        Raises `DatabaseOutage`, `SchemaFault`, `BrokerFault` and `Withheld`; requests that were
        not yielded by then have no effect.
        """
        requests = sorted(requests, key=lambda each: _QUEUE_RANK[each.command.queue])
        deliveries = [request.delivery for request in requests]
        self._quarantine.record_again(deliveries, partial(self._touch, requests))
        self._locks.refresh()
        for number, portion in enumerate(portions(requests)):
            if number:
                self._context.keep_alive()
            yield from self._commit_unlocked(portion, is_split=False)

    def _touch(self, requests: Sequence[Request], tx: Transaction) -> None:
        """Wait with *tx* for the sessions that hold a table or row that *requests* need."""
        self._probe.touch(tx)
        needs = SHOP.needs_of(request.command for request in requests)
        open_world(tx, needs, self._ids, None, with_rows=True)

    def _commit_unlocked(self, group: list[Request], *, is_split: bool) -> Iterator[list[Result]]:
        """Yield the results of *group*; requests that need a locked table are deferred."""
        if not self._locks.are_known:
            yield from self._commit_or_split(group, is_split=is_split)
            return
        self._locks.raise_if_all_wait(has_suspects=any(was_tried(r.delivery) for r in group))
        free: list[Request] = []
        locked_out: list[tuple[Request, Exception]] = []
        for request in group:
            lock = self._locks.against(request.command)
            if lock is None:
                free.append(request)
            else:
                locked_out.append((request, LockedOut(str(lock))))
        # First: what is free may have to wait behind it.
        if locked_out:
            yield self._deferrals.defer(locked_out)
        if free:
            yield from self._commit_or_split(free, is_split=is_split)

    def _commit_or_split(self, group: list[Request], *, is_split: bool) -> Iterator[list[Result]]:
        """Yield the results of *group*, whole if possible, else of ever smaller parts of it.

        So the fault of one command ends up with it alone, and its neighbours are committed.
        """
        try:
            results = self._retry.run(group, is_split=is_split)
        except NotCommitted as failure:
            fault = failure.fault
        else:
            yield results
            return
        if isinstance(fault, LockedOut):
            has_suspects = any(was_tried(request.delivery) for request in group)
            fault = self._locks.find(fault, has_suspects=has_suspects)
            if any(self._locks.against(request.command) for request in group):
                yield from self._commit_unlocked(group, is_split=True)
                return
        if len(group) == 1:
            yield from self._commit_one(group[0], fault, is_split=is_split)
            return
        emit(LogEvent.BATCH_SPLIT, str(fault), batch_size=len(group))
        middle = len(group) // 2
        for half in (group[:middle], group[middle:]):
            yield from self._commit_unlocked(half, is_split=True)

    def _commit_one(
        self, request: Request, fault: Exception, *, is_split: bool
    ) -> Iterator[list[Result]]:
        """Yield the result of *request*, which met *fault* alone: refused as taken, or deferred."""
        taken = None
        if request.taken is None and isinstance(fault, UniqueTaken):
            taken = as_taken(self._database, request, fault)
        if taken is None:
            yield self._deferrals.defer([(request, fault)])
        else:
            yield from self._commit_or_split([taken], is_split=is_split)
