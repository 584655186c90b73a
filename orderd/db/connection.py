"""The one connection to PostgreSQL, and the transactions on it."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812 - a class with a small name
from psycopg2.extensions import parse_dsn

from orderd.db.faults import DatabaseOutage, SchemaFault, translated
from orderd.db.queries import load_queries
from orderd.db.transaction import Transaction

# A cut wire is found within 25 s, a dead host within 5; the DSN may say otherwise.
_CONNECTION_DEFAULTS: Final[dict[str, Any]] = {
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
    "target_session_attrs": "read-write",
}


def check_dsn(dsn: str) -> dict[str, Any]:
    """Return the parameters of *dsn*, or raise ValueError; the text quotes nothing of it."""
    try:
        return parse_dsn(dsn)
    except psycopg2.Error:
        # libpq quotes what it stumbles over, and that may be half of a password.
        raise ValueError("database_url: is not one that libpq can read") from None


class Database:
    """A connection that is opened when it is needed and dropped when it is lost."""

    def __init__(self, dsn: str, application_name: str = "orderd") -> None:
        """Prepare for *dsn*, a libpq connection string or URL; nothing is opened yet.

        Raises ValueError where libpq cannot read it.
        """
        defaults = _CONNECTION_DEFAULTS | {"application_name": application_name}
        self._parameters = defaults | check_dsn(dsn)
        self._queries = load_queries()
        self._connection: Connection | None = None

    @property
    def is_connected(self) -> bool:
        """Whether a connection is there that was not seen to fail."""
        return self._connection is not None and not self._connection.closed

    def connect(self) -> None:
        """Open the connection if there is none; raises `DatabaseOutage`."""
        if self.is_connected:
            return
        try:
            connection = psycopg2.connect(**self._parameters)
            # Transactions are ours, in SQL; psycopg2 is to begin none of its own.
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(self._queries["set_session"])
        except psycopg2.Error as error:
            raise translated(error) from error
        self._connection = connection

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Run the block in a transaction: COMMIT at its end, ROLLBACK on any exception.

        Raises `DatabaseOutage` (the connection is closed; whether a COMMIT under way took effect
        is unknown), `TransactionConflict`, `RowFault` or `SchemaFault` for the driver's errors.
        """
        self.connect()
        connection = self._connection
        if connection is None:
            raise DatabaseOutage("no connection")
        try:
            with connection.cursor() as cursor:
                tx = Transaction(cursor, self._queries)
                yield tx
                tx.commit()
        except psycopg2.Error as error:
            fault = translated(error)
            self._abandon(connection, keep=not isinstance(fault, DatabaseOutage | SchemaFault))
            raise fault from error
        except BaseException:
            self._abandon(connection, keep=True)
            raise

    def close(self) -> None:
        """Close the connection; never raises."""
        if self._connection is not None:
            self._abandon(self._connection, keep=False)

    def _abandon(self, connection: Connection, *, keep: bool) -> None:
        """Leave the transaction, and the connection with it unless it is to be kept."""
        if keep:
            try:
                with connection.cursor() as cursor:
                    cursor.execute("ROLLBACK")
            except psycopg2.Error:
                keep = False
        if not keep:
            self._connection = None
            with suppress(psycopg2.Error):
                connection.close()
