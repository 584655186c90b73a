"""`orderctl outbox`: events between their commit and the broker's confirm."""

import argparse
from typing import Final

from orderd.ctl.context import Context
from orderd.ctl.database import database_of
from orderd.ctl.entity import Row, Shown, plainly, whole_number
from orderd.ctl.errors import Failure, WrongUsage
from orderd.ctl.pagination import add_limit_argument, show_page
from orderd.ctl.records import outbox_event
from orderd.protocol.exit_codes import ExitCode


def next_try(row: Row) -> str:
    """Return when the daemon sends the event again, for people."""
    if row["set_aside"]:
        return "never: set aside"
    return "now" if row["next_try"] is None else f"{row['next_try'][:19].replace('T', ' ')}Z"


_COLUMNS: Final = (
    Shown("id", plainly("id"), is_right=True),
    Shown("age", lambda row: f"{row['age_s']} s", is_right=True),
    Shown("type", plainly("type")),
    Shown("subject", plainly("subject")),
    Shown("correlation id", plainly("correlationid")),
    Shown("refusals", plainly("refusals"), is_right=True, is_extra=True),
    Shown("next try", next_try),
    Shown("because", plainly("refused_because"), is_long=True),
    Shown(
        "claimed",
        lambda row: f"{(row['claimed_at'] or 'never')[:19].replace('T', ' ')}",
        is_extra=True,
    ),
)


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's verbs."""
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    listed = verbs.add_parser("list", help="list unsent events, oldest first")
    add_limit_argument(listed)
    listed.set_defaults(run=list_events)
    retried = verbs.add_parser(
        "retry",
        help="have the daemon send events at its next sweep, including those that another daemon "
        "has claimed, that were refused or set aside",
    )
    retried.add_argument(
        "ids",
        metavar="ID",
        nargs="*",
        type=whole_number,
        help="row id as shown by orderctl outbox list",
    )
    retried.add_argument("--all", action="store_true", help="all of them")
    retried.set_defaults(run=retry)


def list_events(options: argparse.Namespace, context: Context) -> int:
    """Print the rows of the outbox; one more than asked for tells whether there are more."""
    with database_of(context.settings) as database, database.transaction() as tx:
        found = tx.rows("list_outbox", rows_max=options.limit + 1)
    rows = [outbox_event(fields) for fields in found]
    show_page(context.console, _COLUMNS, rows, options.limit, empty="no unsent events")
    return ExitCode.DONE


def retry(options: argparse.Namespace, context: Context) -> int:
    """Make the lease of rows old and forget their refusals.

    A failure where one that was named is not there (any more).
    """
    if bool(options.ids) == options.all:
        raise WrongUsage("pass the ids of events, as shown by orderctl outbox list, or --all")
    with database_of(context.settings) as database, database.transaction() as tx:
        found = tx.rows("release_outbox", is_all=options.all, ids=options.ids)
    released = sorted(row_id for (row_id,) in found)
    missing = sorted(set(options.ids) - set(released))
    if context.console.is_json:
        context.console.document({"released": released, "missing": missing})
    elif released:
        context.console.say(f"{len(released)} released: the daemon's next sweep sends them")
    elif options.all:
        context.console.say("no unsent events")
    if missing:
        raise Failure(
            f"not found in the outbox (sent, or never there): {', '.join(map(str, missing))}"
        )
    return ExitCode.DONE
