"""The one connection to PostgreSQL, and the transactions on it."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime
from typing import Any, Final

import psycopg2
from psycopg2.errors import InsufficientPrivilege
from psycopg2.extensions import connection as Connection  # noqa: N812 - a class with a small name
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - likewise
from psycopg2.extensions import parse_dsn

from orderd.db.faults import DatabaseOutage, SchemaFault, translated
from orderd.db.queries import load_queries
from orderd.db.transaction import Transaction
from orderd.db.waiting import OnSlice, no_slice, sliced

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
    """A connection that is opened when it is needed and dropped when it is lost.

    While an answer is waited for, `on_slice` is called once a second with the seconds so far, for
    at most `patience_s`: then the server counts as away.
    """

    def __init__(self, dsn: str, application_name: str = "orderd") -> None:
        """Prepare for *dsn*, a libpq connection string or URL; nothing is opened yet.

        Raises ValueError where libpq cannot read it.
        """
        defaults = _CONNECTION_DEFAULTS | {"application_name": application_name}
        self._parameters = defaults | check_dsn(dsn)
        self._queries = load_queries()
        self._connection: Connection | None = None
        # The server's process and its start: together nobody else's.
        self._session: tuple[int, datetime] | None = None
        self.on_slice: OnSlice = no_slice
        self.patience_s = float("inf")

    @property
    def is_connected(self) -> bool:
        """Whether a connection is there that was not seen to fail."""
        return self._connection is not None and not self._connection.closed

    def connect(self) -> None:
        """Open the connection if there is none; raises `DatabaseOutage`."""
        if self.is_connected:
            return
        try:
            connection = self._opened()
            # Transactions are ours, in SQL; psycopg2 is to begin none of its own.
            connection.autocommit = True
            with self._sliced(), connection.cursor() as cursor:
                cursor.execute(self._queries["set_session"])
                self._replace_session(cursor)
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
            with self._sliced(), connection.cursor() as cursor:
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

    def _opened(self) -> Connection:
        """Return a connection to the first host that takes it, or raise `DatabaseOutage`."""
        faults = []
        for parameters in _attempts(self._parameters):
            try:
                connection: Connection = psycopg2.connect(**parameters)
            except psycopg2.OperationalError as error:
                faults.append(str(translated(error)))
            else:
                return connection
            # A host may take all of its time, and its name as much again to be looked up.
            self.on_slice(0.0)
        raise DatabaseOutage("; ".join(faults))

    def _replace_session(self, cursor: Cursor) -> None:
        """End the session before this one, where the server does not know yet that it is lost.

        The rows that it still holds are those which are needed next.
        """
        pid, started_at = self._session or (None, None)
        # Where ending sessions is not for everybody, it ends by itself, later.
        with suppress(InsufficientPrivilege):
            cursor.execute(self._queries["replace_session"], {"pid": pid, "started_at": started_at})
            self._session = cursor.fetchall()[0][:2]

    def _sliced(self) -> AbstractContextManager[None]:
        return sliced(self.on_slice, self.patience_s)

    def _abandon(self, connection: Connection, *, keep: bool) -> None:
        """Leave the transaction, and the connection with it unless it is to be kept."""
        if keep:
            try:
                with self._sliced(), connection.cursor() as cursor:
                    cursor.execute("ROLLBACK")
            except (psycopg2.Error, DatabaseOutage):
                keep = False
        if not keep:
            self._connection = None
            with suppress(psycopg2.Error):
                connection.close()


def _attempts(parameters: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return *parameters* once for each host, so that something can be done between two of them.

    Where libpq chooses among the hosts in another way than in turn, that is left to it.
    """
    hosts = str(parameters.get("host", "")).split(",")
    ports = str(parameters.get("port", "")).split(",")
    choice = parameters["target_session_attrs"] == "prefer-standby"
    if choice or "hostaddr" in parameters or "load_balance_hosts" in parameters:
        return [parameters]
    if len(ports) == 1:
        ports *= len(hosts)
    if len(hosts) == 1 or len(ports) != len(hosts):
        return [parameters]
    return [
        {**parameters, "host": host, "port": port} for host, port in zip(hosts, ports, strict=True)
    ]
