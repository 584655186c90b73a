"""`orderctl dlq`: the dead letters; to look at them changes neither them nor their order."""

import argparse
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import islice
from typing import Any, Final

from orderd.ctl.broker import broker_of
from orderd.ctl.console import Console
from orderd.ctl.context import Context
from orderd.ctl.dlq.browse import DeadLetters
from orderd.ctl.dlq.dead_letters import DeadLetter
from orderd.ctl.dlq.edit import edit
from orderd.ctl.dlq.filters import (
    add_filter_arguments,
    add_limit_argument,
    add_queue_argument,
    filters_of,
)
from orderd.ctl.dlq.groups import GROUPS_MAX, Groups
from orderd.ctl.dlq.moves import discard, replay
from orderd.ctl.dlq.pace import RAMP_START_PER_S, STOP_ABOVE_PERCENT, percent, rate
from orderd.ctl.dlq.transfer import export_letters, import_letters
from orderd.ctl.request import request_id
from orderd.ctl.tables import Column, Table, counted

LIST_LIMIT: Final = 1000
SHOW_LIMIT: Final = 100
_COLUMNS: Final = (
    Column("queue"),
    Column("failed"),
    Column("code"),
    Column("id"),
    Column("action", is_extra=True),
    Column("attempt", is_right=True, is_extra=True),
    Column("reason", is_long=True),
)
_GROUP_COLUMNS: Final = (
    Column("group"),
    Column("count", is_right=True),
    Column("queue"),
    Column("action", is_extra=True),
    Column("code"),
    Column("first", is_extra=True),
    Column("last", is_extra=True),
    Column("replayed", is_right=True, is_extra=True),
    Column("sample", is_extra=True),
    Column("reason", is_long=True),
)


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's verbs."""
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    _register_looks(verbs)
    _register_moves(verbs)
    _register_edit(verbs)
    _register_transfer(verbs)


def _register_looks(verbs: Any) -> None:
    grouped = verbs.add_parser("groups", help="count dead letters by their cause")
    grouped.set_defaults(run=list_groups)
    listed = verbs.add_parser("list", help="list dead letters, oldest first")
    listed.set_defaults(run=list_letters)
    shown = verbs.add_parser("show", help="show dead letters completely, one JSON document each")
    shown.set_defaults(run=show_letters)
    for verb, limit in ((grouped, None), (listed, LIST_LIMIT), (shown, SHOW_LIMIT)):
        add_limit_argument(verb, limit)
        add_filter_arguments(verb)


def _register_moves(verbs: Any) -> None:
    replayed = verbs.add_parser("replay", help="republish dead letters to their queues, unchanged")
    replayed.set_defaults(run=replay)
    replayed.add_argument(
        "--force",
        action="store_true",
        help="include dead letters whose request has an outcome in the ledger or whose row has "
        "changed since",
    )
    replayed.add_argument(
        "--rate", metavar="N/s", type=rate, help="at most this many, for example 20/s or 30/min"
    )
    replayed.add_argument(
        "--ramp",
        action="store_true",
        help=f"start with {RAMP_START_PER_S:g}/s, and double while none fails again",
    )
    replayed.add_argument(
        "--stop-above",
        metavar="PERCENT",
        type=percent,
        help="watch what becomes of the replayed ones, and stop when more of them than this fail "
        f"again; with --ramp {STOP_ABOVE_PERCENT:g} by default",
    )
    discarded = verbs.add_parser("discard", help="delete dead letters")
    discarded.set_defaults(run=discard, done="discarded")
    purged = verbs.add_parser("purge", help="delete dead letters of a minimum age")
    purged.set_defaults(run=discard, done="purged")
    for verb in (discarded, purged):
        verb.add_argument(
            "--yes", action="store_true", help="confirm the deletion; required to delete anything"
        )
    for verb in (replayed, discarded, purged):
        add_limit_argument(verb, None)
        _add_dry_run(verb)
        add_filter_arguments(verb, is_age_required=verb is purged)


def _register_edit(verbs: Any) -> None:
    edited = verbs.add_parser(
        "edit", help="correct the body of a dead letter in an editor, and send it again"
    )
    edited.set_defaults(run=edit)
    edited.add_argument("id", metavar="ID", type=request_id, help="id of the request or event")
    add_queue_argument(edited)
    edited.add_argument(
        "--force",
        action="store_true",
        help="send it even if its request has an outcome in the ledger or its row has changed "
        "since",
    )
    _add_dry_run(edited)


def _register_transfer(verbs: Any) -> None:
    exported = verbs.add_parser("export", help="write dead letters to a file, exact to the byte")
    exported.set_defaults(run=export_letters)
    exported.add_argument(
        "--output", dest="file", metavar="FILE", default="-", help="file to write; default: stdout"
    )
    add_limit_argument(exported, None)
    add_filter_arguments(exported)
    imported = verbs.add_parser("import", help="put exported dead letters into their queues again")
    imported.set_defaults(run=import_letters)
    imported.add_argument("file", metavar="FILE", help="file to read; - reads stdin")
    _add_dry_run(imported)


def _add_dry_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dry-run", action="store_true", help="change nothing; show what would be done"
    )


def list_groups(options: argparse.Namespace, context: Context) -> int:
    """Print how many dead letters each cause has."""
    groups = Groups()
    with _looking(options, context) as (dead_letters, matching):
        groups.add_all(matching)
    ranked, console = groups.ranked(), context.console
    if console.is_json:
        documents = (group.document() for group in ranked)
        console.items(documents, looked_at=dead_letters.seen, others=groups.others)
    elif ranked:
        console.table(Table(_GROUP_COLUMNS, [_group_cells(group.document()) for group in ranked]))
    if groups.others:
        console.note(f"{groups.others} more in other groups: only {GROUPS_MAX} are told apart")
    count = sum(group.count for group in ranked) + groups.others
    return _end(console, dead_letters, options, count)


def list_letters(options: argparse.Namespace, context: Context) -> int:
    """Print what tells each dead letter from the others."""
    console, shown = context.console, Counting()
    with _looking(options, context) as (dead_letters, matching):
        summaries = (dead_letter.summary() for dead_letter in shown.over(matching))
        if console.is_json:
            console.items(summaries, looked_at=lambda: dead_letters.seen)
        else:
            # A table is kept until its columns are as wide as their cells: many rows take several.
            while rows := [_cells(summary) for summary in islice(summaries, LIST_LIMIT)]:
                console.table(Table(_COLUMNS, rows))
    return _end(console, dead_letters, options, shown.count)


def show_letters(options: argparse.Namespace, context: Context) -> int:
    """Print each dead letter as a JSON document, as soon as it is read."""
    console, shown = context.console, Counting()
    with _looking(options, context) as (dead_letters, matching):
        documents = (dead_letter.document() for dead_letter in shown.over(matching))
        if console.is_json:
            console.items(documents, looked_at=lambda: dead_letters.seen)
        else:
            for document in documents:
                console.document(document)
    return _end(console, dead_letters, options, shown.count)


class Counting:
    """Counts what passes."""

    def __init__(self) -> None:
        self.count = 0

    def over(self, dead_letters: Iterable[DeadLetter]) -> Iterator[DeadLetter]:
        """Yield *dead_letters*."""
        for dead_letter in dead_letters:
            self.count += 1
            yield dead_letter


@contextmanager
def _looking(
    options: argparse.Namespace, context: Context
) -> Iterator[tuple[DeadLetters, Iterator[DeadLetter]]]:
    """Give the dead letters of the arguments, and those that match."""
    filters, console = filters_of(options, context), context.console
    with broker_of(context.settings) as publisher:
        dead_letters = DeadLetters(context.settings, publisher, options.queue, console)
        with (
            console.progress("looking", dead_letters.total) as advance,
            closing(dead_letters.each(filters, options.limit, advance)) as matching,
        ):
            yield dead_letters, matching


def _end(
    console: Console, dead_letters: DeadLetters, options: argparse.Namespace, shown: int
) -> int:
    if dead_letters.seen < dead_letters.total and shown == options.limit:
        unseen = dead_letters.total - dead_letters.seen
        console.note(
            f"stopped at {options.limit}; {unseen} more not checked; raise --limit to continue"
        )
    elif not shown and dead_letters.total:
        console.note(f"no match ({counted(dead_letters.total, 'dead letter')} checked)")
    elif not shown and not console.is_json:
        console.note("no dead letters")
    # Who asks for a request by its id expects it; but it may be in a queue that fails.
    is_missing = options.ids and not shown and not dead_letters.failing
    return dead_letters.code(is_whole=not is_missing, console=console)


def _group_cells(group: dict[str, Any]) -> list[str]:
    return [
        group["group"],
        str(group["count"]),
        group["queue"],
        group["action"] or "",
        group["code"] or "",
        _moment(group["first"]),
        _moment(group["last"]),
        str(group["replayed"]),
        group["sample_id"] or "",
        group["reason"] or "",
    ]


def _cells(summary: dict[str, Any]) -> list[str]:
    attempt = summary["attempt"]
    return [
        summary["dead_letter_queue"],
        _moment(summary["failed_at"]),
        summary["code"] or "",
        summary["id"] or "",
        summary["action"] or "",
        "" if attempt is None else str(attempt),
        summary["reason"] or "",
    ]


def _moment(told: str | None) -> str:
    return f"{told[:19].replace('T', ' ')}Z" if told else ""
