"""The database for a command: its faults become failures with the right exit code."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

from orderd.ctl.exits import Failure, Misconfigured, Unavailable
from orderd.db.connection import Database
from orderd.db.faults import DatabaseOutage, RowFault, SchemaFault, TransactionConflict
from orderd.ops.redaction import redact
from orderd.ops.settings import Settings


@contextmanager
def database_of(settings: Settings) -> Iterator[Database]:
    """Give the database, connected; raises Unavailable, Misconfigured or Failure."""
    try:
        with closing(Database(settings.database_url.get_secret_value())) as database:
            database.connect()
            yield database
    except DatabaseOutage as fault:
        raise Unavailable(f"database: {redact(str(fault))}") from fault
    except SchemaFault as fault:
        raise Misconfigured(f"schema: {fault}") from fault
    except (TransactionConflict, RowFault) as fault:
        raise Failure(f"database: {redact(str(fault))}") from fault
