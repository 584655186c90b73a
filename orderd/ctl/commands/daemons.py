"""`orderctl daemons`: every daemon, as each tells of itself in the database."""

import argparse
from decimal import Decimal
from typing import Any, Final

from orderd.ctl.context import Context
from orderd.ctl.database import database_of
from orderd.ctl.entity import Row, Shown, plainly, table_of
from orderd.ctl.watch import add_watch_argument, watched
from orderd.protocol.exit_codes import ExitCode
from orderd.protocol.rows import rfc3339


def _moment(name: str, title: str, *, is_extra: bool = False) -> Shown:
    def cell(row: Row) -> str:
        return f"{row[name][:19].replace('T', ' ')}Z" if row[name] else ""

    return Shown(title, cell, is_extra=is_extra)


def _state(row: Row) -> str:
    paused = ", ".join(row["paused_queues"])
    return f"{row['state']} ({paused} paused)" if paused else row["state"]


_COLUMNS: Final = (
    Shown("instance", plainly("instance")),
    Shown("program", plainly("program"), is_extra=True),
    Shown("host", plainly("host"), is_extra=True),
    Shown("pid", plainly("pid"), is_right=True, is_extra=True),
    Shown("version", plainly("version"), is_extra=True),
    Shown("state", _state, is_long=True),
    Shown("msg/s", plainly("messages_per_s"), is_right=True),
    Shown("in hand", plainly("in_hand"), is_right=True),
    _moment("last_commit", "last commit"),
    _moment("since", "since", is_extra=True),
)


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_watch_argument(parser)
    parser.epilog = (
        "Each daemon writes its line every 10 s. One that has not done so for a minute is gone, "
        "and is listed for a day."
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, context: Context) -> int:
    """Print the list, once or again and again."""
    return watched(options, context.console, lambda: _show(context))


def _show(context: Context) -> int:
    with database_of(context.settings) as database, database.transaction() as tx:
        rows = [_document(*fields) for fields in tx.rows("list_daemons")]
    if context.console.is_json:
        context.console.items(rows)
    elif rows:
        context.console.table(table_of(_COLUMNS, rows))
    else:
        context.console.line("no daemons in the last 24 hours")
    return ExitCode.DONE


def _document(*fields: Any) -> dict[str, Any]:
    """Return one row of `list_daemons` as JSON members."""
    program, instance, host, pid, version, *more = fields
    state, since, paused, rate, in_hand, commit, seen = more
    return {
        "program": program,
        "instance": instance,
        "host": host,
        "pid": pid,
        "version": version,
        "state": state,
        "since": rfc3339(since),
        "paused_queues": [queue for queue in paused.split(",") if queue],
        "messages_per_s": Decimal(f"{rate:.1f}"),
        "in_hand": in_hand,
        "last_commit": None if commit is None else rfc3339(commit),
        "seen": rfc3339(seen),
    }
