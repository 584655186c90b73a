"""`orderctl migrate`: bring the schema up to date, or tell what that would take."""

import argparse
from collections.abc import Sequence

from orderd.ctl.console import Console
from orderd.ctl.context import Context
from orderd.ctl.database import database_of
from orderd.db.connection import Database
from orderd.db.migrations import Migration, check_schema, migrate, pending_migrations
from orderd.db.validation import validate
from orderd.protocol.exit_codes import ExitCode

UP_TO_DATE = "the schema is up to date"


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--check",
        action="store_true",
        help="change nothing; exit with 78 when a migration is pending",
    )
    instead.add_argument(
        "--dry-run", action="store_true", help="change nothing; print the SQL that would be run"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, context: Context) -> int:
    """Apply every pending migration, or only look."""
    with database_of(context.settings) as database:
        if not (options.check or options.dry_run):
            _apply(database, context.console)
            return ExitCode.DONE
        pending = pending_migrations(database)
        missing = [] if pending or options.dry_run else check_schema(database)
    if options.dry_run:
        _show_sql(context.console, pending)
        return ExitCode.DONE
    _show_pending(context.console, [migration.name for migration in pending], missing)
    return ExitCode.CONFIG if pending else ExitCode.DONE


def _apply(database: Database, console: Console) -> None:
    if console.is_json:
        applied = migrate(database)
        broken, missing = validate(database), check_schema(database)
        told = {"applied": applied, "broken": broken, "missing": missing, "dry_run": False}
        console.document(told)
        return
    # Each is told at once, for the next one may fail.
    if not migrate(database, lambda name: console.say(f"applied: {name}")):
        console.line(UP_TO_DATE)
    for said in (*validate(database), *check_schema(database)):
        console.note(said)


def _show_pending(console: Console, names: Sequence[str], missing: Sequence[str]) -> None:
    if console.is_json:
        console.document({"pending": names, "missing": missing, "dry_run": True})
        return
    for name in names:
        console.say(f"pending: {name}")
    if not names:
        console.line(UP_TO_DATE)
    for said in missing:
        console.note(said)


def _show_sql(console: Console, pending: Sequence[Migration]) -> None:
    if console.is_json:
        fields = [{"name": one.name, "checksum": one.checksum, "sql": one.sql} for one in pending]
        console.document({"pending": fields, "dry_run": True})
        return
    for migration in pending:
        console.line(f"-- {migration.name}\n{migration.sql}")
    if not pending:
        console.note(UP_TO_DATE)
