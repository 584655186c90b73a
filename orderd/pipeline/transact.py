"""One transaction: load and lock, decide, write, COMMIT."""

from collections.abc import Iterator, Sequence
from typing import Final

from orderd.amqp.message import Delivery
from orderd.db.connection import Database
from orderd.db.transaction import Transaction
from orderd.pipeline.context import BatchContext
from orderd.pipeline.deferrals import Deferrals
from orderd.pipeline.duplicates import mark_taken
from orderd.pipeline.failures import outcome_of
from orderd.pipeline.ids import IdPool
from orderd.pipeline.lists import answer_list, bounded
from orderd.pipeline.load import load_rows, open_world
from orderd.pipeline.measures import Measures
from orderd.pipeline.outbox.rows import OutboxRow, insert_rows
from orderd.pipeline.persist import persist
from orderd.pipeline.plain_tables import PlainTables
from orderd.pipeline.policy import Policy
from orderd.pipeline.quarantine import mark_committed
from orderd.pipeline.requests import Request
from orderd.pipeline.results import Result, correlation_of
from orderd.pipeline.written import check_written
from orderd.protocol.cloud_events import EventContext, new_id
from orderd.protocol.commands import List
from orderd.protocol.envelope import Command
from orderd.protocol.metrics import BatchPhase
from orderd.protocol.names import Queue
from orderd.runtime.crash_points import reach
from orderd.shop.decide import Decision, decide, in_line, response_to
from orderd.shop.ownership import not_own
from orderd.shop.registry import SHOP
from orderd.shop.tables import OUTBOX
from orderd.shop.world import World

# Once a group is being split, the session that holds a row is known to hold it for long.
LOCK_TIMEOUT_WHEN_SPLIT_MS: Final = 100


class BatchTransaction:
    """Applies groups of requests to *database*, each group in one transaction."""

    def __init__(
        self,
        database: Database,
        ids: IdPool,
        policy: Policy,
        context: BatchContext,
        deferrals: Deferrals,
        *,
        measures: Measures,
    ) -> None:
        """Take new ids from *ids*; ask *context* before COMMIT whether the group is still ours."""
        self._database = database
        self._ids = ids
        self._policy = policy
        self._context = context
        self._deferrals = deferrals
        self._measures = measures
        self._tables = PlainTables()
        self._are_places_kept = False
        self.has_committed = False

    def run(
        self, group: Sequence[Request], arriving: frozenset[Queue] | None, *, is_split: bool
    ) -> list[Result] | None:
        """Return the results of *group*, in its order, committed.

        Returns None, with nothing committed, where a command refers to a row that is missing and
        *arriving* does not tell which queues may still bring it.
        Raises the faults of orderd.db, and what `BatchContext.assert_ours` raises.
        """
        commands = [request.command for request in group]
        with self._database.transaction() as tx:
            reach("tx_begun", _ids_of(group))
            if is_split:
                tx.later("set_lock_timeout", milliseconds=LOCK_TIMEOUT_WHEN_SPLIT_MS)
            watch = self._measures.stopwatch()
            world = self._load(tx, commands, arriving)
            watch.end(BatchPhase.LOAD)
            self._ids.raise_if_taken(world)
            for request in group:
                mark_taken(world, request)
            reach("loaded", _ids_of(group))
            decisions = [self._decide(tx, world, command) for command in commands]
            if world.has_asked_for_arrivals:
                tx.roll_back()
                return None
            watch.end(BatchPhase.DECIDE)
            reach("decided", _ids_of(group))
            results = self._write(tx, group, decisions, world)
            reach("persisted", _ids_of(group))
            self._context.assert_ours()
            reach("before_commit", _ids_of(group))
        watch.end(BatchPhase.COMMIT)
        reach("after_commit", _ids_of(group))
        self.has_committed = True
        self._ids.drop_used(world.fresh_ids)
        return results

    def _load(
        self, tx: Transaction, commands: Sequence[Command], arriving: frozenset[Queue] | None
    ) -> World:
        """Return the world that *commands* are decided on, the rows locked that they may change."""
        needs = SHOP.needs_of(commands)
        SHOP.see_owned(needs, commands)
        # A command that must wait for its turn neither locks rows nor waits for them; but that some
        # have to wait is known beforehand only from the batch before.
        with_rows = not self._are_places_kept
        world, are_places_kept = open_world(tx, needs, self._ids, arriving, with_rows=with_rows)
        self._are_places_kept = are_places_kept
        self._database.clock.learn(world.now)
        if are_places_kept:
            world.turns = self._deferrals.turns(tx, commands)
            needs = SHOP.needs_of(world.turns.able(commands))
            SHOP.see_owned(needs, commands)
        if not with_rows:
            load_rows(tx, needs, world)
        return world

    def _decide(self, tx: Transaction, world: World, command: Command) -> Decision:
        policy = self._policy
        if isinstance(command.content, List):
            answer = not_own(world, command) or answer_list(
                tx, command, command.content, policy.reply_bytes_max
            )
            return Decision(command, answer, response_to(answer))
        try:
            decision = decide(world, command, policy.attempts_max)
            return bounded(decision, policy.reply_bytes_max)
        except Exception as error:  # noqa: BLE001 - a rule's own fault is its command's alone
            failed = outcome_of(command, error)
            outcome = in_line(world.turns, command, failed, policy.attempts_max, world.now)
            return Decision(command, outcome, response_to(outcome))

    def _write(
        self,
        tx: Transaction,
        group: Sequence[Request],
        decisions: Sequence[Decision],
        world: World,
    ) -> list[Result]:
        """Return the results of *decisions*, written and read back; only COMMIT is left to do."""
        results = [
            self._with_events(request.delivery, decision, world)
            for request, decision in zip(group, decisions, strict=True)
        ]
        before = tx.waiting
        persist(tx, world, decisions)
        events = [row for result in results for row in result.events]
        insert_rows(tx, events)
        has_written = tx.waiting > before
        mark_committed(tx, [r.delivery for r in group if r.command.is_recorded])
        self._deferrals.write(tx, world.turns)
        if has_written and not self._tables.keep_what_is_written(tx):
            check_written(tx, world, decisions, events)
        tx.flush()
        return results

    def _with_events(self, delivery: Delivery, decision: Decision, world: World) -> Result:
        command = decision.command
        context = EventContext(
            self._policy.events_source,
            world.now,
            correlation_of(delivery, command.request_id),
            command.actor,
        )
        rows = []
        row_ids = world.fresh_ids.use(OUTBOX, len(decision.events))
        for row_id, event in zip(row_ids, decision.events, strict=True):
            event_id = new_id()
            body = event.body(event_id, context)
            rows.append(OutboxRow(row_id, event_id, event.type, body))
        return Result(delivery, command, decision.outcome, decision.response, tuple(rows))


def _ids_of(requests: Sequence[Request]) -> Iterator[str | None]:
    return (request.command.request_id for request in requests)
