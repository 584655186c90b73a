"""The database for a command: its faults become failures with the right exit code."""

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Final

from orderd.ctl.errors import AccessRefused, Failure, Misconfigured, Unavailable
from orderd.ctl.tables import counted
from orderd.db.connection import Database
from orderd.db.faults import (
    DatabaseOutage,
    DatabaseRefused,
    RowFault,
    SchemaFault,
    TransactionConflict,
)
from orderd.db.migrations import pending_migrations
from orderd.db.options import check_dsn
from orderd.logs.redaction import redact
from orderd.runtime.installation import migrate_command

if TYPE_CHECKING:
    from orderd.config.settings import Settings

# SQLSTATEs of a table and of a column that does not exist.
_MISSING: Final = frozenset({"42P01", "42703"})


@contextmanager
def database_of(settings: "Settings") -> Iterator[Database]:
    """Give the database, connected; raises Unavailable, Misconfigured or Failure."""
    try:
        with closing(Database(checked_dsn(settings), "orderctl")) as database:
            database.connect()
            try:
                yield database
            except SchemaFault as fault:
                raise Misconfigured(f"schema: {fault}{_next_step(database, fault)}") from fault
    except DatabaseRefused as fault:
        raise AccessRefused(f"database: {redact(str(fault))}") from fault
    except DatabaseOutage as fault:
        raise Unavailable(f"database: {redact(str(fault))}") from fault
    except SchemaFault as fault:
        raise Misconfigured(f"schema: {fault}") from fault
    except (TransactionConflict, RowFault) as fault:
        raise Failure(f"database: {redact(str(fault))}") from fault


def _next_step(database: Database, fault: SchemaFault) -> str:
    """Return what to do about a table or column that is missing, if a migration would make it."""
    if getattr(fault.__cause__, "pgcode", None) not in _MISSING:
        return ""
    with suppress(SchemaFault, DatabaseOutage, TransactionConflict):
        if pending := pending_migrations(database):
            return f"; {counted(len(pending), 'migration')} pending, run: {migrate_command()}"
    return ""


def checked_dsn(settings: "Settings") -> str:
    """Return the connection string; raises Misconfigured where it can never work."""
    dsn = settings.database_url.get_secret_value()
    try:
        check_dsn(dsn)
    except ValueError as error:
        raise Misconfigured(f"configuration: {error}") from error
    return dsn
