"""`orderctl dlq replay`, `discard` and `purge`: requeue dead letters or delete them."""

import argparse
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

from orderd.amqp.browse import Browser
from orderd.amqp.confirmed import ConfirmedPublisher
from orderd.ctl.broker import broker_of
from orderd.ctl.context import Context
from orderd.ctl.database import database_of
from orderd.ctl.dlq.browse import DeadLetters
from orderd.ctl.dlq.dead_letters import DeadLetter
from orderd.ctl.dlq.filters import WINDOW_LETTERS, filters_of, windows
from orderd.ctl.dlq.pace import Pace, Plan
from orderd.ctl.dlq.replayer import Replayer, Tally
from orderd.ctl.dlq.watched import WatchedReplay
from orderd.ctl.errors import Unavailable
from orderd.db.connection import Database
from orderd.protocol.exit_codes import ExitCode

Handle = Callable[[DeadLetters, Browser, Iterator[DeadLetter]], None]


def replay(options: argparse.Namespace, context: Context) -> int:
    """Publish dead letters to their queues; delete each once the broker confirmed its copy."""
    tally = Tally(context.console)
    plan = Plan(options.rate, is_ramp=options.ramp, stop_above=options.stop_above)
    with broker_of(context.settings) as publisher, ExitStack() as stack:
        ledger = _ledger(options, context, stack, is_needed=plan.is_watched)
        replayer = Replayer(publisher, ledger, tally, is_forced=options.force)
        watched = None
        if options.dry_run:
            handle = _counting(replayer, tally)
        elif plan.is_watched and ledger is not None:
            watched = WatchedReplay(context.settings, publisher, replayer, ledger, plan)
            handle = _watching(watched, context)
        else:
            handle = _replaying(replayer, publisher, plan)
        try:
            dead_letters = _go_through(
                options,
                context,
                publisher,
                handle,
                is_moving=not options.dry_run,
                is_slow=plan.rate is not None and watched is None,
            )
        except KeyboardInterrupt:
            done = f"interrupted: {tally.counts['replayed']} replayed, the rest stay"
            context.console.interrupted(done)
            raise
    return _report_replay(options, context, tally, dead_letters, watched)


def discard(options: argparse.Namespace, context: Context) -> int:
    """Delete the matching dead letters if --yes was passed."""
    tally = Tally(context.console)
    is_meant = options.yes and not options.dry_run

    def handle(
        _dead_letters: DeadLetters, browser: Browser, matching: Iterator[DeadLetter]
    ) -> None:
        for dead_letter in matching:
            if is_meant:
                browser.ack([dead_letter.delivery])
            tally.counts[options.done] += 1

    with broker_of(context.settings) as publisher:
        dead_letters = _go_through(options, context, publisher, handle, is_moving=is_meant)
    code = _report(options, context, tally, dead_letters, options.done, is_done=is_meant)
    if tally.counts[options.done] and not (options.yes or options.dry_run):
        context.console.complain("nothing deleted; pass --yes to delete")
        return ExitCode.USAGE
    return code


def _counting(replayer: Replayer, tally: Tally) -> Handle:
    def handle(
        _dead_letters: DeadLetters, _browser: Browser, matching: Iterator[DeadLetter]
    ) -> None:
        for window in windows(matching):
            tally.counts["replayed"] += sum(1 for _ in replayer.moves(window))

    return handle


def _replaying(replayer: Replayer, publisher: ConfirmedPublisher, plan: Plan) -> Handle:
    pace = Pace(publisher.connection.turn)
    # What the ledger said is to be fresh when a message goes.
    letters_max = (
        WINDOW_LETTERS if plan.rate is None else max(1, min(WINDOW_LETTERS, int(plan.rate)))
    )

    def handle(
        _dead_letters: DeadLetters, browser: Browser, matching: Iterator[DeadLetter]
    ) -> None:
        for window in windows(matching, letters_max):
            for move in replayer.moves(window):
                pace.wait(plan.rate)
                replayer.move(browser, move)

    return handle


def _watching(watched: WatchedReplay, context: Context) -> Handle:
    def handle(dead_letters: DeadLetters, browser: Browser, matching: Iterator[DeadLetter]) -> None:
        watched.run(browser, dead_letters, matching, context.console)

    return handle


def _go_through(
    options: argparse.Namespace,
    context: Context,
    publisher: ConfirmedPublisher,
    handle: Handle,
    *,
    is_moving: bool,
    is_slow: bool = False,
) -> DeadLetters:
    dead_letters = DeadLetters(
        context.settings, publisher, options.queue, context.console, is_moving=is_moving
    )

    def handle_all(browser: Browser, matching: Iterator[DeadLetter]) -> None:
        handle(dead_letters, browser, matching)

    with context.console.progress("dead letters", dead_letters.total, is_slow=is_slow) as advance:
        filters = filters_of(options, context)
        dead_letters.go_through(filters, options.limit, advance, handle_all)
    return dead_letters


def _ledger(
    options: argparse.Namespace, context: Context, stack: ExitStack, *, is_needed: bool
) -> Database | None:
    """Return the database with the ledger, or None if it is down and --force was passed."""
    try:
        return stack.enter_context(database_of(context.settings))
    except Unavailable as failure:
        if not options.force or is_needed:
            raise
        context.console.note(f"{failure}; cannot check whether requests have an outcome")
        return None


def _report_replay(
    options: argparse.Namespace,
    context: Context,
    tally: Tally,
    dead_letters: DeadLetters,
    watched: WatchedReplay | None,
) -> int:
    """Report what was replayed, and what has become of it where that was watched."""
    if watched is None:
        is_done = not options.dry_run
        return _report(options, context, tally, dead_letters, "replayed", is_done=is_done)
    fates, stopped = watched.summary(), watched.stopped
    more = {**fates, "stopped": stopped}
    code = _report(options, context, tally, dead_letters, "replayed", is_done=True, **more)
    if not context.console.is_json and tally.counts["replayed"]:
        told = (f"{count} {name.replace('_', ' ')}" for name, count in fates.items() if count)
        context.console.line(f"of these: {', '.join(told)}")
    if stopped is not None:
        context.console.complain(f"stopped: {stopped}; the rest stay")
        return ExitCode.FAILED
    return code


def _report(
    options: argparse.Namespace,
    context: Context,
    tally: Tally,
    dead_letters: DeadLetters,
    done: str,
    *,
    is_done: bool,
    **more: Any,
) -> int:
    counts, console = tally.counts, context.console
    kept = [outcome for outcome in ("skipped", "failed") if counts[outcome]]
    if console.is_json:
        console.document(
            {
                "dry_run": not is_done,
                "looked_at": dead_letters.seen,
                done: counts[done],
                "skipped": counts["skipped"],
                "failed": counts["failed"],
                **more,
            }
        )
    else:
        verb = done if is_done else f"would be {done}"
        rest = "".join(f", {counts[outcome]} {outcome}" for outcome in kept)
        console.line(
            f"{counts[done]} {verb}{rest}; {dead_letters.seen} of {dead_letters.total} checked"
        )
    if options.groups and not (counts[done] or kept):
        console.note(f"no dead letters of group {', '.join(options.groups)}")
    is_found = counts[done] or kept or not options.ids or dead_letters.failing
    return dead_letters.code(is_whole=bool(is_found and not counts["failed"]), console=console)
