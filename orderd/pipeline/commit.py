"""The batch: what has arrived is decoded, decided and committed together, visibly to nobody.

Read `process` first, then `_transact`: the way of a message from top to bottom.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final
from uuid import uuid4

from orderd.amqp.message import Delivery
from orderd.amqp.renewal import is_expired
from orderd.db.connection import Database
from orderd.db.faults import LockedOut, UniqueTaken
from orderd.db.transaction import Transaction
from orderd.logs.logger import Event, emit
from orderd.pipeline.conflicts import ConflictRetry
from orderd.pipeline.context import BatchContext, Withheld
from orderd.pipeline.deferrals import Deferrals
from orderd.pipeline.duplicates import as_taken, mark_taken
from orderd.pipeline.failures import outcome_of
from orderd.pipeline.ids import IdPool
from orderd.pipeline.lists import answer_list, bounded
from orderd.pipeline.load import load_rows, open_world
from orderd.pipeline.locking.locks import Locks
from orderd.pipeline.locking.probe import Probe
from orderd.pipeline.outbox.rows import OutboxRow, insert_rows
from orderd.pipeline.persist import persist
from orderd.pipeline.quarantine import Quarantine, mark_committed, was_tried
from orderd.pipeline.requests import PORTION_BYTES_MAX, Request, portions
from orderd.pipeline.results import Result, attempt_of, correlation_of
from orderd.pipeline.written import check_written
from orderd.protocol.amqp10 import TYPE_ENCODED, message_id_of
from orderd.protocol.commands import List
from orderd.protocol.envelope import Command, Invalid, decode
from orderd.protocol.names import Queue
from orderd.runtime.crash_points import reach
from orderd.shop.authorize import Grants, authorize
from orderd.shop.decide import ArrivalsUnknown, Decision, decide, in_line, response_to
from orderd.shop.registry import SHOP
from orderd.shop.tables import OUTBOX
from orderd.shop.world import World

__all__ = ["BatchContext", "Committer", "Limits", "Withheld"]

# To read a mebibyte of hostile JSON takes up to two seconds.
BREATHE_AFTER_BYTES: Final = 100_000
# Once a batch is being cut up, whoever holds a row is known to hold it for long.
LOCK_TIMEOUT_WHEN_CUT_MS: Final = 100
_QUEUE_RANK: Final = {queue: rank for rank, queue in enumerate(Queue)}


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be reloaded: the largest body and answer in bytes, the attempts of a message."""

    body_bytes_max: int
    attempts_max: int
    reply_bytes_max: int = 1 << 20


class Committer:
    """Turns deliveries into committed results."""

    def __init__(
        self,
        database: Database,
        limits: Limits,
        *,
        quarantine: Quarantine,
        deferrals: Deferrals,
        events_source: str,
        grants: Grants,
    ) -> None:
        """Work on *database*; a token has the rights that *grants* give it, None: everybody all."""
        self.limits = limits
        self._database = database
        self.events_source = events_source
        self.grants = grants
        self._quarantine = quarantine
        self._deferrals = deferrals
        self._ids = IdPool()
        self._locks = Locks(database)
        self._probe = Probe(database)
        self._redo = ConflictRetry(database, self._ids, self._probe)
        self.has_committed = False

    def keep_places(self, deliveries: Sequence[Delivery]) -> dict[int, str]:
        """Keep the places of *deliveries*, copies of which go to the end of their queues now.

        Returns the keys of places by the tags of deliveries. Raises `DatabaseOutage`.
        """
        return self._deferrals.renew(deliveries, self._decode)

    def process(
        self, deliveries: Sequence[Delivery], context: BatchContext
    ) -> Iterator[list[Result]]:
        """Yield the results of *deliveries*, group by group, as soon as each is committed.

        Users go first, then products, then orders, within a queue in the order of delivery.
        Raises `DatabaseOutage` and `SchemaFault`; what was not yielded by then is not settled.
        """
        reach("received", (delivery.properties.message_id for delivery in deliveries))
        requests: list[Request] = []
        yield from self._read(deliveries, requests, context)
        reach("decoded", _ids_of(requests))
        requests.sort(key=lambda request: _QUEUE_RANK[Queue(request.command.queue)])
        self._quarantine.record_again(
            [r.delivery for r in requests], partial(self._touch, requests)
        )
        self._locks.refresh()
        for number, portion in enumerate(portions(requests)):
            if number:
                context.keep_alive()
            yield from self._commit_unlocked(portion, context)

    def _touch(self, requests: Sequence[Request], tx: Transaction) -> None:
        """Wait with *tx* for whoever holds a table or row that *requests* need."""
        self._probe.touch(tx)
        needs = SHOP.needs_of(request.command for request in requests)
        world, _ = open_world(tx, needs, self._ids, None)
        load_rows(tx, needs, world)

    def _read(
        self, deliveries: Sequence[Delivery], requests: list[Request], context: BatchContext
    ) -> Iterator[list[Result]]:
        """Add the commands among *deliveries* to *requests*, and yield results for the others."""
        invalid: list[Result] = []
        invalid_bytes = 0
        read_bytes = 0
        for delivery in deliveries:
            if read_bytes > BREATHE_AFTER_BYTES:
                context.keep_alive()
                read_bytes = 0
            read_bytes += len(delivery.body)
            decoded = self._decode(delivery)
            if isinstance(decoded, Command):
                requests.append(Request(delivery, decoded))
                continue
            invalid.append(Result(delivery, None, decoded, response_to(decoded)))
            invalid_bytes += len(delivery.body)
            if invalid_bytes > PORTION_BYTES_MAX:
                yield invalid
                invalid, invalid_bytes = [], 0
        if invalid:
            yield invalid

    def _decode(self, delivery: Delivery) -> Command | Invalid:
        properties = delivery.properties
        decoded = decode(
            delivery.queue,
            delivery.body,
            message_id_of(properties.message_id, properties.headers),
            attempt_of(delivery),
            self.limits.body_bytes_max,
            models=SHOP.models,
            permit=partial(authorize, self.grants),
            is_encoded=properties.type == TYPE_ENCODED,
        )
        if isinstance(decoded, Invalid):
            return decoded
        decoded = self._deferrals.known(delivery, decoded)
        # Now, not as it came: it may have waited here, for a server or for somebody's lock.
        is_over = is_expired(delivery, self._database.clock.seconds())
        return replace(decoded, is_expired=True) if is_over else decoded

    def _commit_unlocked(
        self, group: list[Request], context: BatchContext, *, is_cut: bool = False
    ) -> Iterator[list[Result]]:
        """Yield the results of *group*; what needs a table that is locked is not waited for."""
        if not self._locks.are_known:
            yield from self._commit(group, context, is_cut=is_cut)
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
            yield self._deferrals.defer(locked_out, self.limits.attempts_max)
        if free:
            yield from self._commit(free, context, is_cut=is_cut)

    def _commit(
        self, group: list[Request], context: BatchContext, *, is_cut: bool = False
    ) -> Iterator[list[Result]]:
        """Yield the results of *group*, whole if possible, else of ever smaller parts of it.

        So one command's fault ends up alone, and its neighbours are done without it.
        """
        results = self._try(group, context, is_cut=is_cut)
        if not isinstance(results, Exception):
            yield results
            return
        if isinstance(results, LockedOut):
            has_suspects = any(was_tried(request.delivery) for request in group)
            results = self._locks.find(results, has_suspects=has_suspects)
            if any(self._locks.against(request.command) for request in group):
                yield from self._commit_unlocked(group, context, is_cut=True)
                return
        if len(group) == 1:
            taken = self._as_taken(group[0], results)
            if taken is not None:
                yield from self._commit([taken], context, is_cut=is_cut)
            else:
                yield self._deferrals.defer([(group[0], results)], self.limits.attempts_max)
            return
        emit(Event.BATCH_SPLIT, str(results), batch_size=len(group))
        middle = len(group) // 2
        for half in (group[:middle], group[middle:]):
            yield from self._commit_unlocked(half, context, is_cut=True)

    def _as_taken(self, request: Request, fault: Exception) -> Request | None:
        """Return *request* for another go, knowing what *fault* says is taken; None for others."""
        if request.taken is not None or not isinstance(fault, UniqueTaken):
            return None
        return as_taken(self._database, request, fault)

    def _try(
        self, group: list[Request], context: BatchContext, *, is_cut: bool
    ) -> list[Result] | Exception:
        """Return the results of *group*, or what kept it from being committed whole."""
        return self._redo.results(
            lambda arriving: self._transact(group, arriving, context, is_cut=is_cut),
            group,
            context,
            is_cut=is_cut,
        )

    def _transact(
        self,
        group: list[Request],
        arriving: frozenset[Queue] | None,
        context: BatchContext,
        *,
        is_cut: bool,
    ) -> list[Result]:
        """Return the results of *group*, committed in one transaction."""
        commands = [request.command for request in group]
        with self._database.transaction() as tx:
            reach("tx_begun", _ids_of(group))
            if is_cut:
                tx.later("set_lock_timeout", milliseconds=LOCK_TIMEOUT_WHEN_CUT_MS)
            world = self._load(tx, commands, arriving)
            self._ids.raise_if_taken(world)
            for request in group:
                mark_taken(world, request)
            reach("loaded", _ids_of(group))
            decisions = [self._decide(tx, world, command) for command in commands]
            reach("decided", _ids_of(group))
            results = self._write(tx, group, decisions, world)
            reach("persisted", _ids_of(group))
            context.assert_ours()
            reach("before_commit", _ids_of(group))
        reach("after_commit", _ids_of(group))
        self.has_committed = True
        self._ids.drop_used(world.fresh_ids)
        return results

    def _load(
        self, tx: Transaction, commands: Sequence[Command], arriving: frozenset[Queue] | None
    ) -> World:
        """Return the world that *commands* are decided on, the rows locked that they may change."""
        needs = SHOP.needs_of(commands)
        world, are_places_kept = open_world(tx, needs, self._ids, arriving)
        self._database.clock.learn(world.now)
        if are_places_kept:
            world.turns = self._deferrals.turns(tx, commands)
            # Whose turn it is not must neither lock rows nor wait for them.
            needs = SHOP.needs_of(world.turns.able(commands))
        load_rows(tx, needs, world)
        return world

    def _write(
        self,
        tx: Transaction,
        group: Sequence[Request],
        decisions: Sequence[Decision],
        world: World,
    ) -> list[Result]:
        """Return the results of *decisions*, written and read back; nothing but COMMIT is left."""
        results = [
            self._with_events(request.delivery, decision, world)
            for request, decision in zip(group, decisions, strict=True)
        ]
        persist(tx, world, decisions)
        events = [row for result in results for row in result.events]
        insert_rows(tx, events)
        mark_committed(tx, [r.delivery for r in group if r.command.is_recorded])
        self._deferrals.write(tx, world.turns)
        check_written(tx, world, decisions, events)
        tx.flush()
        return results

    def _decide(self, tx: Transaction, world: World, command: Command) -> Decision:
        if isinstance(command.content, List):
            answer = answer_list(tx, command, command.content, self.limits.reply_bytes_max)
            return Decision(command, answer, response_to(answer))
        try:
            decision = decide(world, command, self.limits.attempts_max)
            return bounded(decision, self.limits.reply_bytes_max)
        except ArrivalsUnknown:
            raise
        except Exception as error:  # noqa: BLE001 - a rule's own fault is its command's alone
            attempts_max = self.limits.attempts_max
            failed = outcome_of(command, error)
            outcome = in_line(world.turns, command, failed, attempts_max, world.now)
            return Decision(command, outcome, response_to(outcome))

    def _with_events(self, delivery: Delivery, decision: Decision, world: World) -> Result:
        command = decision.command
        correlation_id = correlation_of(delivery, command.request_id)
        rows = []
        row_ids = world.fresh_ids.use(OUTBOX, len(decision.events))
        for row_id, event in zip(row_ids, decision.events, strict=True):
            event_id = str(uuid4())
            body = event.body(event_id, self.events_source, world.now, correlation_id)
            rows.append(OutboxRow(row_id, event_id, event.type, body))
        return Result(delivery, command, decision.outcome, decision.response, tuple(rows))


def _ids_of(requests: Sequence[Request]) -> Iterator[str | None]:
    return (request.command.request_id for request in requests)
