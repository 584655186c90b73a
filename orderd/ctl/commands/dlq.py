"""`orderctl dlq`: the dead letters; to look at them changes neither them nor their order."""

import argparse
from collections.abc import Iterator
from typing import Any, Final

from orderd.amqp.browse import Browser
from orderd.ctl.broker import broker_of
from orderd.ctl.console import Console
from orderd.ctl.context import Context
from orderd.ctl.dlq.browse import DeadLetters
from orderd.ctl.dlq.dead_letters import DeadLetter
from orderd.ctl.dlq.filters import (
    Filters,
    add_filter_arguments,
    add_limit_argument,
    filters_of,
)
from orderd.ctl.dlq.moves import discard, replay
from orderd.ctl.tables import Column, Table

LIST_LIMIT: Final = 1000
SHOW_LIMIT: Final = 100
_COLUMNS: Final = (
    Column("queue"),
    Column("failed"),
    Column("code"),
    Column("id", is_long=True),
    Column("action"),
    Column("attempt", is_right=True),
    Column("reason", is_long=True),
)


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's verbs."""
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    listed = verbs.add_parser("list", help="list dead letters, one per line")
    listed.set_defaults(run=list_letters)
    add_limit_argument(listed, LIST_LIMIT)
    shown = verbs.add_parser("show", help="show dead letters completely, one JSON document each")
    shown.set_defaults(run=show_letters)
    add_limit_argument(shown, SHOW_LIMIT)
    replayed = verbs.add_parser("replay", help="republish them to their queues, unchanged")
    replayed.set_defaults(run=replay)
    replayed.add_argument(
        "--force",
        action="store_true",
        help="include dead letters whose request has an outcome in the ledger or whose row has "
        "changed since",
    )
    discarded = verbs.add_parser("discard", help="delete them")
    discarded.set_defaults(run=discard)
    discarded.add_argument(
        "--yes", action="store_true", help="confirm the deletion; required to delete anything"
    )
    for verb in (replayed, discarded):
        add_limit_argument(verb, None)
        verb.add_argument(
            "--dry-run", action="store_true", help="change nothing; show what would be done"
        )
    for verb in (listed, shown, replayed, discarded):
        add_filter_arguments(verb)


def list_letters(options: argparse.Namespace, context: Context) -> int:
    """Print what tells each dead letter from the others."""
    filters, console = filters_of(options, context), context.console
    found: list[dict[str, Any]] = []

    def note(_browser: Browser, matching: Iterator[DeadLetter]) -> None:
        found.extend(dead_letter.summary() for dead_letter in matching)

    with broker_of(context.settings) as publisher:
        dead_letters = DeadLetters(context.settings, publisher, options.queue, console)
        with console.progress("looking", dead_letters.total) as advance:
            dead_letters.go_through(filters, options.limit, advance, note)
    if console.is_json:
        console.document(found)
    else:
        console.table(Table(_COLUMNS, [_cells(summary) for summary in found]))
    return _end(console, dead_letters, filters, len(found), options.limit)


def show_letters(options: argparse.Namespace, context: Context) -> int:
    """Print each dead letter as one JSON document, as soon as it is read."""
    filters, console = filters_of(options, context), context.console
    shown = 0

    def show(_browser: Browser, matching: Iterator[DeadLetter]) -> None:
        nonlocal shown
        for dead_letter in matching:
            console.document(dead_letter.document())
            shown += 1

    with broker_of(context.settings) as publisher:
        dead_letters = DeadLetters(context.settings, publisher, options.queue, console)
        dead_letters.go_through(filters, options.limit, lambda: None, show)
    return _end(console, dead_letters, filters, shown, options.limit)


def _end(
    console: Console, dead_letters: DeadLetters, filters: Filters, shown: int, limit: int
) -> int:
    if dead_letters.seen < dead_letters.total and shown == limit:
        unseen = dead_letters.total - dead_letters.seen
        console.note(f"stopped at {limit}; {unseen} more not checked; raise --limit to continue")
    elif not shown and dead_letters.total:
        noun = "dead letter" if dead_letters.total == 1 else "dead letters"
        console.note(f"no match ({dead_letters.total} {noun} checked)")
    # Who asks for a request by its id expects it; but it may be in a queue that fails.
    is_missing = filters.ids and not shown and not dead_letters.failing
    return dead_letters.code(is_whole=not is_missing, console=console)


def _cells(summary: dict[str, Any]) -> list[str]:
    moment = summary["failed_at"]
    attempt = summary["attempt"]
    return [
        summary["dead_letter_queue"],
        f"{moment[:19].replace('T', ' ')}Z" if moment else "",
        summary["code"] or "",
        summary["id"] or "",
        summary["action"] or "",
        "" if attempt is None else str(attempt),
        summary["reason"] or "",
    ]
