"""The database for a command: its faults become failures with the right exit code."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from orderd.ctl.errors import AccessRefused, Failure, Misconfigured, Unavailable
from orderd.db.connection import Database
from orderd.db.faults import (
    DatabaseOutage,
    DatabaseRefused,
    RowFault,
    SchemaFault,
    TransactionConflict,
)
from orderd.db.options import check_dsn
from orderd.logs.redaction import redact

if TYPE_CHECKING:
    from orderd.config.settings import Settings


@contextmanager
def database_of(settings: "Settings") -> Iterator[Database]:
    """Give the database, connected; raises Unavailable, Misconfigured or Failure."""
    try:
        with closing(Database(checked_dsn(settings), "orderctl")) as database:
            database.connect()
            yield database
    except DatabaseRefused as fault:
        raise AccessRefused(f"database: {redact(str(fault))}") from fault
    except DatabaseOutage as fault:
        raise Unavailable(f"database: {redact(str(fault))}") from fault
    except SchemaFault as fault:
        raise Misconfigured(f"schema: {fault}") from fault
    except (TransactionConflict, RowFault) as fault:
        raise Failure(f"database: {redact(str(fault))}") from fault


def checked_dsn(settings: "Settings") -> str:
    """Return the connection string; raises Misconfigured where it can never work."""
    dsn = settings.database_url.get_secret_value()
    try:
        check_dsn(dsn)
    except ValueError as error:
        raise Misconfigured(f"configuration: {error}") from error
    return dsn
