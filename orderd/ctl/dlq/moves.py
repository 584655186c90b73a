"""`orderctl dlq replay` and `discard`: dead letters leave their queue, back to work or for good."""

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
from orderd.ctl.dlq.browse import Letters
from orderd.ctl.dlq.changes import changed_since
from orderd.ctl.dlq.dead_letters import Letter
from orderd.ctl.dlq.filters import filters_of, windows
from orderd.ctl.errors import Unavailable
from orderd.ctl.interrupts import uninterrupted
from orderd.db.connection import Database
from orderd.protocol.exit_codes import ExitCode
from orderd.runtime.crash_points import reach

_REMARKS_MAX: Final = 20

Move = Callable[[Browser, list[Letter]], None]


class Tally:
    """What became of the letters that matched, and remarks on single ones, not too many."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.counts: Counter[str] = Counter()

    def remark(self, outcome: str, letter: Letter, why: str) -> None:
        """Count a letter that stays, and say why."""
        self.counts[outcome] += 1
        if self.counts[outcome] <= _REMARKS_MAX:
            name = letter.request_id or "without id"
            self._console.note(f"{letter.delivery.queue}: {name}: {outcome}: {why}")
        elif self.counts[outcome] == _REMARKS_MAX + 1:
            self._console.note(f"further ones that are {outcome} are only counted")


def replay(options: argparse.Namespace, context: Context) -> int:
    """Publish letters to their queues, and delete each once the broker has its copy."""
    tally = Tally(context.console)
    with broker_of(context.settings) as publisher, ExitStack() as stack:
        ledger = _ledger(options, context, stack)

        def move(browser: Browser, window: list[Letter]) -> None:
            chosen = _chosen(ledger, window, tally, is_forced=options.force)
            copies = _copies(publisher, chosen, tally)
            if not options.dry_run:
                with uninterrupted():
                    copies = _published(publisher, copies, tally)
                    # A crash before the ack costs a duplicate, which the ledger knows, not a loss.
                    browser.ack([letter.delivery for letter, _ in copies])
            tally.counts["replayed"] += len(copies)

        letters = _go_through(options, context, publisher, move, is_moving=not options.dry_run)
    return _report(options, context.console, tally, letters, "replayed")


def discard(options: argparse.Namespace, context: Context) -> int:
    """Delete letters, if that was said with --yes."""
    tally = Tally(context.console)
    is_meant = options.yes and not options.dry_run

    def move(browser: Browser, window: list[Letter]) -> None:
        if is_meant:
            browser.ack([letter.delivery for letter in window])
        tally.counts["discarded"] += len(window)

    with broker_of(context.settings) as publisher:
        letters = _go_through(options, context, publisher, move, is_moving=is_meant)
    code = _report(options, context.console, tally, letters, "discarded", is_meant=is_meant)
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
) -> Letters:
    letters = Letters(
        context.settings, publisher, options.queue, context.console, is_moving=is_moving
    )

    def move_all(browser: Browser, matching: Iterator[Letter]) -> None:
        for window in windows(matching):
            move(browser, window)

    with context.console.progress("dead letters", letters.total) as advance:
        filters = filters_of(options, context)
        letters.go_through(filters, options.limit, advance, move_all)
    return letters


def _ledger(options: argparse.Namespace, context: Context, stack: ExitStack) -> Database | None:
    """Return the database to ask; who forces a replay can do without one."""
    try:
        return stack.enter_context(database_of(context.settings))
    except Unavailable as failure:
        if not options.force:
            raise
        context.console.note(f"{failure}; whether requests have an outcome is not known")
        return None


def _chosen(
    ledger: Database | None, window: Sequence[Letter], tally: Tally, *, is_forced: bool
) -> list[Letter]:
    """Return the letters to replay.

    A request with an outcome would not be done anew; one whose row was changed after it would set
    the row back.
    """
    obstacles = _obstacles(ledger, window)
    chosen = []
    for letter in window:
        obstacle = obstacles.get(letter)
        if obstacle is None:
            chosen.append(letter)
        elif is_forced:
            tally.remark("known", letter, f"{obstacle}; replayed all the same")
            chosen.append(letter)
        else:
            tally.remark("skipped", letter, f"{obstacle}; --force replays it")
    return chosen


def _obstacles(ledger: Database | None, window: Sequence[Letter]) -> Mapping[Letter, str]:
    """Return what speaks against the replay of letters, where something does."""
    if ledger is None:
        return {}
    ids = [letter.request_id for letter in window if letter.request_id is not None]
    with ledger.transaction() as tx:
        rows = tx.rows("find_outcomes", ids=ids) if ids else []
        changed = changed_since(tx, window)
    outcomes = {request_id: code or outcome for request_id, outcome, code in rows}
    known = {
        letter: f"the ledger has it as {outcomes[letter.request_id]}"
        for letter in window
        if letter.request_id in outcomes
    }
    return changed | known


def _copies(
    publisher: ConfirmedPublisher, letters: Sequence[Letter], tally: Tally
) -> list[tuple[Letter, OutgoingMessage]]:
    copies = []
    for letter in letters:
        message = letter.original(publisher.connection.user)
        try:
            publisher.check(message)
        except Unpublishable as fault:
            tally.remark("failed", letter, f"AMQP cannot carry it: {fault}")
        else:
            copies.append((letter, message))
    return copies


def _published(
    publisher: ConfirmedPublisher, copies: Sequence[tuple[Letter, OutgoingMessage]], tally: Tally
) -> list[tuple[Letter, OutgoingMessage]]:
    """Return the copies that the broker has; the others are said."""
    published = []
    for letter, message in copies:
        if (why := publisher.publish(message)) is None:
            published.append((letter, message))
        else:
            tally.remark("failed", letter, f"queue {message.routing_key}: {why}")
    reach("dlq_replay_published", (letter.request_id for letter, _ in published))
    return published


def _report(
    options: argparse.Namespace,
    console: Console,
    tally: Tally,
    letters: Letters,
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
                "looked_at": letters.seen,
                done: counts[done],
                "skipped": counts["skipped"],
                "failed": counts["failed"],
            }
        )
    else:
        verb = done if is_done else f"would be {done}"
        more = "".join(f", {counts[outcome]} {outcome}" for outcome in kept)
        console.line(f"{counts[done]} {verb}{more}; {letters.seen} looked at of {letters.total}")
    is_found = counts[done] or kept or not options.ids or letters.failing
    return letters.code(is_whole=bool(is_found and not counts["failed"]), console=console)
