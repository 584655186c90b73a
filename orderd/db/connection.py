"""The one connection to PostgreSQL, and the transactions on it."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime
from typing import Any, Final

import psycopg2
from psycopg2.errors import InsufficientPrivilege
from psycopg2.extensions import connection as Connection  # noqa: N812 - a class with a small name
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - likewise
from psycopg2.extensions import register_type

from orderd.db.certificates import VERIFY_FAILED, reason_of_refusal
from orderd.db.clock import Clock
from orderd.db.faults import DatabaseOutage, DatabaseRefused, SchemaFault, translated
from orderd.db.options import check_dsn, masked
from orderd.db.prepared import PreparedStatements
from orderd.db.queries import load_queries
from orderd.db.timestamps import MOMENT
from orderd.db.transaction import Transaction
from orderd.db.waiting import Meanwhile, OnSlice, no_slice, no_work, sliced

# Behind its version, psycopg2 names what it was built with.
PSYCOPG2_VERSION: Final = str(vars(psycopg2)["__version__"]).partition(" ")[0]
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
_ENCODING: Final = "UTF8"


class Database:
    """A connection that is opened when it is needed and dropped when it is lost.

    While an answer is awaited, *meanwhile* is called first (see `waiting.sliced`), then *on_slice*
    once a second with the seconds so far. What that raises ends the wait, and the connection.
    """

    def __init__(
        self,
        dsn: str,
        application_name: str = "orderd",
        *,
        prepared: Collection[str] = (),
        on_slice: OnSlice = no_slice,
        meanwhile: Meanwhile = no_work,
    ) -> None:
        """Prepare for *dsn*, a libpq connection string or URL; nothing is opened yet.

        A session of its own keeps the named queries *prepared*, each from its first use on. Raises
        ValueError where libpq cannot read *dsn*, or it can never work.
        """
        defaults = _CONNECTION_DEFAULTS | {"application_name": application_name}
        # Whatever role, database or environment would have: texts go both ways as they are.
        self._parameters = defaults | check_dsn(dsn) | {"client_encoding": _ENCODING}
        # Each named query, as it was when the daemon started.
        self.queries = load_queries()
        self._connection: Connection | None = None
        # The server's process id and start time, which together identify the session.
        self._session: tuple[int, datetime] | None = None
        # Statements that begin each transaction; more of them where a pooler shares the session.
        self._opening: tuple[str, ...] = ()
        self._may_be_prepared = prepared
        self._prepared = PreparedStatements()
        # What the operator has switched off: a power cut may then lose what is committed.
        self.switched_off: tuple[str, ...] = ()
        self.clock = Clock()
        self._on_slice = on_slice
        self._meanwhile = meanwhile

    @property
    def is_connected(self) -> bool:
        """Whether a connection is there that was not seen to fail."""
        return self._connection is not None and not self._connection.closed

    def connect(self) -> None:
        """Open the connection if there is none.

        Raises `DatabaseOutage`, and `SchemaFault` where the database cannot hold every text.
        """
        if self.is_connected:
            return
        try:
            connection = self._opened()
            # Transactions are ours, in SQL; psycopg2 is to begin none of its own.
            connection.autocommit = True
            register_type(MOMENT, connection)
            with self._sliced(), connection.cursor() as cursor:
                self._take_session(connection, cursor)
        except psycopg2.Error as error:
            raise translated(error, self._parameters.get("user")) from error
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
                tx = Transaction(cursor, self.queries, self._opening, self._prepared)
                yield tx
                tx.end()
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
                faults.append(_explained(error, parameters))
            else:
                return connection
            # A host may take all of its time, and its name as much again to be looked up.
            self._on_slice(0.0)
        # A refusal among the faults is raised as such, because an operator can act on it.
        is_refused = any(isinstance(fault, DatabaseRefused) for fault in faults)
        text = masked("; ".join(map(str, faults)), self._parameters)
        raise DatabaseRefused(text) if is_refused else DatabaseOutage(text)

    def _take_session(self, connection: Connection, cursor: Cursor) -> None:
        """Set the limits of the new session and terminate the one before it, unless it is shared.

        Behind a pooler its server's pid is not the one that was given at connect. Then it is also
        that of other clients: nothing is set on it, and no session is terminated.
        """
        cursor.execute(self.queries["tell_time"])
        ((now,),) = cursor.fetchall()
        self.clock.learn(now)
        cursor.execute(self.queries["find_session"])
        ((pid, started_at, encoding, name, switched_off),) = cursor.fetchall()
        self.switched_off = tuple(switched_off)
        if encoding != _ENCODING:
            connection.close()
            raise SchemaFault(
                f'the database "{name}" has the encoding {encoding}, and orderd needs {_ENCODING}: '
                f"recreate it WITH ENCODING '{_ENCODING}' TEMPLATE template0"
            )
        if pid != connection.info.backend_pid:
            self._session, self._opening = None, ("bound_transaction", "durable_transaction")
            self._prepared = PreparedStatements()
            return
        self._prepared = PreparedStatements(self._may_be_prepared)
        self._opening = ("durable_transaction",)
        cursor.execute(self.queries["set_session"])
        before, self._session = self._session, (pid, started_at)
        if before is not None:
            # Where ending sessions is not for everybody, it ends by itself, later.
            with suppress(InsufficientPrivilege):
                cursor.execute(
                    self.queries["replace_session"],
                    {"pid": before[0], "started_at": before[1]},
                )

    def _sliced(self) -> AbstractContextManager[None]:
        return sliced(self._on_slice, self._meanwhile)

    def _abandon(self, connection: Connection, *, keep: bool) -> None:
        """Leave the transaction, and the connection with it unless it is to be kept."""
        if keep:
            try:
                with self._sliced(), connection.cursor() as cursor:
                    cursor.execute(self._prepared.rolled_back())
            except (psycopg2.Error, DatabaseOutage):
                keep = False
        if not keep:
            self._connection = None
            with suppress(psycopg2.Error):
                connection.close()


def _explained(error: psycopg2.OperationalError, parameters: Mapping[str, Any]) -> Exception:
    """Return the fault of a failed connect, with what is wrong with the certificate."""
    fault = translated(error, parameters.get("user"))
    if VERIFY_FAILED in str(fault) and (reason := reason_of_refusal(parameters)):
        return DatabaseRefused(f"{fault}: {reason}")
    return fault


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
