"""`orderctl ledger`: which requests were settled, how, and what was answered."""

import argparse
from typing import Final

from orderd.config.durations import format_duration
from orderd.ctl.context import Context
from orderd.ctl.database import database_of
from orderd.ctl.durations import duration
from orderd.ctl.entity import Shown, plainly
from orderd.ctl.errors import Failure
from orderd.ctl.json_text import compact
from orderd.ctl.pagination import add_limit_argument, show_page
from orderd.ctl.records import LEDGER_FIELDS, ledger_row, read_ledger
from orderd.ctl.request import request_id, text
from orderd.ctl.tables import Column, Table, Whole
from orderd.protocol.exit_codes import ExitCode

SINCE_S: Final = 86_400.0
# Longer ago than any row, and still within what PostgreSQL can subtract.
SINCE_MAX_S: Final = 1e9
OUTCOMES: Final = ("applied", "refused")
_EXTRA: Final = ("outcome", "queue", "action", "actor")
_COLUMNS: Final = (
    Shown("settled", lambda row: f"{row['created_at'][:19].replace('T', ' ')}Z"),
    Shown("id", plainly("id")),
    Shown("code", plainly("code")),
    # Without a code, a request was applied.
    *(
        Shown(name, plainly(name), is_extra=True)
        for name in ("outcome", "queue", "action", "actor")
    ),
)


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's verbs."""
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    shown = verbs.add_parser("show", help="show the outcome of one request, and its reply")
    shown.add_argument("id", metavar="ID", type=request_id, help="the request's id")
    shown.set_defaults(run=show)
    listed = verbs.add_parser("list", help="list requests, latest first")
    listed.add_argument("--outcome", choices=OUTCOMES, help="only requests with this outcome")
    listed.add_argument(
        "--code", metavar="CODE", type=text, help="only requests refused with this code"
    )
    listed.add_argument(
        "--since",
        metavar="DURATION",
        type=duration,
        default=SINCE_S,
        help="settled at most this long ago, for example 10min or 2h; default: 24h",
    )
    add_limit_argument(listed)
    listed.set_defaults(run=list_requests)


def show(options: argparse.Namespace, context: Context) -> int:
    """Print the row; a failure where there is none."""
    with database_of(context.settings) as database, database.transaction() as tx:
        row = read_ledger(tx, options.id)
    if row is None:
        raise Failure(f"the ledger has no request {options.id}; see orderctl explain")
    if context.console.is_json:
        context.console.document(row)
    else:
        cells = [(name, plainly(name)(row)) for name in LEDGER_FIELDS]
        cells[0] = ("id", Whole(options.id))
        cells.append(("response", compact(row["response"])))
        context.console.table(Table((Column("field"), Column("value", is_long=True)), cells))
    return ExitCode.DONE


def list_requests(options: argparse.Namespace, context: Context) -> int:
    """Print the latest requests; one more than asked for tells whether there are more."""
    with database_of(context.settings) as database, database.transaction() as tx:
        found = tx.rows(
            "list_ledger",
            outcome=options.outcome,
            code=options.code,
            since_s=min(options.since, SINCE_MAX_S),
            rows_max=options.limit + 1,
        )
    rows = [ledger_row(*fields) for fields in found]
    empty = f"no requests in the last {format_duration(options.since)}; see --since"
    show_page(context.console, _COLUMNS, rows, options.limit, empty=empty)
    return ExitCode.DONE
