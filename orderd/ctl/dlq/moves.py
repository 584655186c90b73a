"""`orderctl dlq replay` and `discard`: requeue dead letters or delete them."""

import argparse
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Final

from orderd.amqp.browse import Browser
from orderd.amqp.confirmed import ConfirmedPublisher
from orderd.amqp.faults import Unpublishable
from orderd.amqp.message import OutgoingMessage
from orderd.ctl.broker import broker_of
from orderd.ctl.console import Console
from orderd.ctl.context import Context
from orderd.ctl.database import database_of
from orderd.ctl.dlq.browse import DeadLetters
from orderd.ctl.dlq.changes import changed_since
from orderd.ctl.dlq.dead_letters import DeadLetter
from orderd.ctl.dlq.filters import filters_of, windows
from orderd.ctl.errors import Unavailable
from orderd.ctl.interrupts import uninterrupted
from orderd.db.connection import Database
from orderd.protocol.exit_codes import ExitCode
from orderd.runtime.crash_points import reach

_REMARKS_MAX: Final = 20

Move = Callable[[Browser, list[DeadLetter]], None]


class Tally:
    """Counts of matched dead letters by outcome; prints a bounded number of remarks."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.counts: Counter[str] = Counter()

    def remark(self, outcome: str, dead_letter: DeadLetter, why: str) -> None:
        """Count a dead letter that stays in its queue, and print why."""
        self.counts[outcome] += 1
        if self.counts[outcome] <= _REMARKS_MAX:
            name = dead_letter.request_id or "without id"
            self._console.note(f"{dead_letter.delivery.queue}: {name}: {outcome}: {why}")
        elif self.counts[outcome] == _REMARKS_MAX + 1:
            self._console.note(f"more dead letters are {outcome}; only the total is shown")


def replay(options: argparse.Namespace, context: Context) -> int:
    """Publish dead letters to their queues; delete each once the broker confirmed its copy."""
    tally = Tally(context.console)
    with broker_of(context.settings) as publisher, ExitStack() as stack:
        ledger = _ledger(options, context, stack)

        def move(browser: Browser, window: list[DeadLetter]) -> None:
            chosen = _chosen(ledger, window, tally, is_forced=options.force)
            copies = _copies(publisher, chosen, tally)
            if not options.dry_run:
                with uninterrupted():
                    copies = _published(publisher, copies, tally)
                    # A crash before the ack costs a duplicate, which the ledger knows, not a loss.
                    browser.ack([dead_letter.delivery for dead_letter, _ in copies])
            tally.counts["replayed"] += len(copies)

        dead_letters = _go_through(options, context, publisher, move, is_moving=not options.dry_run)
    return _report(options, context.console, tally, dead_letters, "replayed")


def discard(options: argparse.Namespace, context: Context) -> int:
    """Delete the matching dead letters if --yes was passed."""
    tally = Tally(context.console)
    is_meant = options.yes and not options.dry_run

    def move(browser: Browser, window: list[DeadLetter]) -> None:
        if is_meant:
            browser.ack([dead_letter.delivery for dead_letter in window])
        tally.counts["discarded"] += len(window)

    with broker_of(context.settings) as publisher:
        dead_letters = _go_through(options, context, publisher, move, is_moving=is_meant)
    code = _report(options, context.console, tally, dead_letters, "discarded", is_meant=is_meant)
    if not (options.yes or options.dry_run):
        context.console.complain("nothing deleted; pass --yes to delete")
        return ExitCode.USAGE
    return code


def _go_through(
    options: argparse.Namespace,
    context: Context,
    publisher: ConfirmedPublisher,
    move: Move,
    *,
    is_moving: bool,
) -> DeadLetters:
    dead_letters = DeadLetters(
        context.settings, publisher, options.queue, context.console, is_moving=is_moving
    )

    def move_all(browser: Browser, matching: Iterator[DeadLetter]) -> None:
        for window in windows(matching):
            move(browser, window)

    with context.console.progress("dead letters", dead_letters.total) as advance:
        filters = filters_of(options, context)
        dead_letters.go_through(filters, options.limit, advance, move_all)
    return dead_letters


def _ledger(options: argparse.Namespace, context: Context, stack: ExitStack) -> Database | None:
    """Return the database with the ledger, or None if it is down and --force was passed."""
    try:
        return stack.enter_context(database_of(context.settings))
    except Unavailable as failure:
        if not options.force:
            raise
        context.console.note(f"{failure}; cannot check whether requests have an outcome")
        return None


def _chosen(
    ledger: Database | None, window: Sequence[DeadLetter], tally: Tally, *, is_forced: bool
) -> list[DeadLetter]:
    """Return the dead letters to replay.

    A request with an outcome would not run again. A request whose row was changed later would
    overwrite that change.
    """
    obstacles = _obstacles(ledger, window)
    chosen = []
    for dead_letter in window:
        obstacle = obstacles.get(dead_letter)
        if obstacle is None:
            chosen.append(dead_letter)
        elif is_forced:
            tally.remark("known", dead_letter, f"{obstacle}; replayed because of --force")
            chosen.append(dead_letter)
        else:
            tally.remark("skipped", dead_letter, f"{obstacle}; pass --force to replay it")
    return chosen


def _obstacles(ledger: Database | None, window: Sequence[DeadLetter]) -> Mapping[DeadLetter, str]:
    """Return the dead letters that should not be replayed, each with the reason."""
    if ledger is None:
        return {}
    ids = [dead_letter.request_id for dead_letter in window if dead_letter.request_id is not None]
    with ledger.transaction() as tx:
        rows = tx.rows("find_outcomes", ids=ids) if ids else []
        changed = changed_since(tx, window)
    outcomes = {request_id: code or outcome for request_id, outcome, code in rows}
    known = {
        dead_letter: f"the ledger records it as {outcomes[dead_letter.request_id]}"
        for dead_letter in window
        if dead_letter.request_id in outcomes
    }
    return changed | known


def _copies(
    publisher: ConfirmedPublisher, dead_letters: Sequence[DeadLetter], tally: Tally
) -> list[tuple[DeadLetter, OutgoingMessage]]:
    copies = []
    for dead_letter in dead_letters:
        message = dead_letter.original(publisher.connection.user)
        try:
            publisher.check(message)
        except Unpublishable as fault:
            tally.remark("failed", dead_letter, f"AMQP cannot carry it: {fault}")
        else:
            copies.append((dead_letter, message))
    return copies


def _published(
    publisher: ConfirmedPublisher,
    copies: Sequence[tuple[DeadLetter, OutgoingMessage]],
    tally: Tally,
) -> list[tuple[DeadLetter, OutgoingMessage]]:
    """Return the copies that the broker confirmed; report the rest as failed."""
    published = []
    for dead_letter, message in copies:
        if (why := publisher.publish(message)) is None:
            published.append((dead_letter, message))
        else:
            tally.remark("failed", dead_letter, f"queue {message.routing_key}: {why}")
    reach("dlq_replay_published", (dead_letter.request_id for dead_letter, _ in published))
    return published


def _report(
    options: argparse.Namespace,
    console: Console,
    tally: Tally,
    dead_letters: DeadLetters,
    done: str,
    *,
    is_meant: bool = True,
) -> int:
    counts = tally.counts
    is_done = is_meant and not options.dry_run
    kept = [outcome for outcome in ("skipped", "failed") if counts[outcome]]
    if console.is_json:
        console.document(
            {
                "dry_run": not is_done,
                "looked_at": dead_letters.seen,
                done: counts[done],
                "skipped": counts["skipped"],
                "failed": counts["failed"],
            }
        )
    else:
        verb = done if is_done else f"would be {done}"
        more = "".join(f", {counts[outcome]} {outcome}" for outcome in kept)
        console.line(
            f"{counts[done]} {verb}{more}; {dead_letters.seen} of {dead_letters.total} checked"
        )
    is_found = counts[done] or kept or not options.ids or dead_letters.failing
    return dead_letters.code(is_whole=bool(is_found and not counts["failed"]), console=console)
