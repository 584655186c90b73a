"""Classifies database errors by what they mean for the current batch; decided only here."""

import re
from enum import Enum, auto
from typing import Final

import psycopg2

from orderd.db.refusals import refusal
from orderd.db.wording import wording
from orderd.shop.registry import SHOP


class DatabaseOutage(Exception):
    """The database is unreachable, starting, read-only or full; no message is at fault."""


class DatabaseRefused(DatabaseOutage):
    """The server answers, but refuses this login or this database."""


class ServerFault(DatabaseOutage):
    """The server failed to do what it was asked to do: one command may be alone in meeting it."""


class TransactionConflict(Exception):
    """Another transaction was in the way; the same transaction may succeed when redone."""


class LockedOut(TransactionConflict):
    """Another session holds a row lock for long: an immediate retry would wait as long again."""

    def __init__(self, text: str, table: str | None = None, tid: str | None = None) -> None:
        """Note the *table* and the place in it of the row that was waited for, where known."""
        super().__init__(text)
        self.table = table
        self.tid = tid


class IdsTaken(TransactionConflict):
    """Rows of other programs have ids that were reserved: a retry needs other ids."""

    def __init__(self, text: str, table: str, *, is_awaited: bool = False) -> None:
        """Note the *table* whose ids are taken, *is_awaited* where not for certain yet."""
        super().__init__(text)
        self.table = table
        self.is_awaited = is_awaited


class UniqueTaken(TransactionConflict):
    """Another user has what a unique index keeps apart: when redone, it may be seen."""

    def __init__(self, text: str, index: str) -> None:
        """Note the name of the *index*, or of the constraint that has it."""
        super().__init__(text)
        self.index = index


class RowFault(Exception):
    """The database would not take what a command wrote."""


class SchemaFault(Exception):
    """A table or a privilege is missing: nothing works until an operator has acted."""


class TablesChanged(SchemaFault):
    """Columns differ from what orderd needs; who changed them may change them back."""


# The tables whose rows have ids out of a sequence, some of them taken ahead.
_WITH_IDS: Final = SHOP.tables_with_ids
_WITH_UNIQUE: Final = frozenset(table.name for table in SHOP.lock_order if table.unique)
# As in "while locking tuple (0,7) in relation "products"", whatever the language.
_TUPLE: Final = re.compile(r"\([0-9]+,[0-9]+\)")
_RELATION: Final = re.compile(rf"\b({'|'.join(_WITH_IDS)})(_\w+)?\b")


class Fault(Enum):
    """The kinds of database errors, by the reaction to them."""

    OUTAGE = auto()
    SERVER = auto()
    CONFLICT = auto()
    LOCKED = auto()
    ROW = auto()
    SCHEMA = auto()


_BY_SQLSTATE: Final = {
    "40001": Fault.CONFLICT,  # serialization_failure
    "40P01": Fault.CONFLICT,  # deadlock_detected
    "55P03": Fault.LOCKED,  # lock_not_available: lock_timeout
    "57014": Fault.LOCKED,  # query_canceled: statement_timeout
    "23505": Fault.CONFLICT,  # unique_violation: another daemon was faster, the redo will see it
    "0A000": Fault.CONFLICT,  # feature_not_supported: a prepared query whose columns have changed
    "26000": Fault.CONFLICT,  # invalid_sql_statement_name: prepared in a session that is another's
    "25006": Fault.OUTAGE,  # read_only_sql_transaction: after a failover
    "25P03": Fault.OUTAGE,  # idle_in_transaction_session_timeout
    "53100": Fault.OUTAGE,  # disk_full: what writes little may still get through
    "53300": Fault.OUTAGE,  # too_many_connections
    "57P01": Fault.OUTAGE,  # admin_shutdown
    "57P02": Fault.OUTAGE,  # crash_shutdown
    "57P03": Fault.OUTAGE,  # cannot_connect_now
    "57P04": Fault.OUTAGE,  # database_dropped
    "57P05": Fault.OUTAGE,  # idle_session_timeout
}
_BY_CLASS: Final = {
    "08": Fault.OUTAGE,  # connection exception
    "28": Fault.OUTAGE,  # invalid authorization: a password is being changed
    "3D": Fault.OUTAGE,  # invalid catalog name: the database is not there yet
    "53": Fault.SERVER,  # insufficient resources: memory, temporary files
    "58": Fault.SERVER,  # system error: I/O
    "F0": Fault.OUTAGE,  # configuration file error
    "XX": Fault.SERVER,  # internal error, damaged page, corrupted index
    "3F": Fault.SCHEMA,  # invalid schema name
    "42": Fault.SCHEMA,  # undefined table, insufficient privilege
}

_BY_KIND: Final = {Fault.SERVER: ServerFault, Fault.SCHEMA: SchemaFault, Fault.ROW: RowFault}


def classify(error: BaseException) -> Fault:
    """Return what *error*, raised by psycopg2, means.

    A lost connection has no SQLSTATE, but neither has a value that psycopg2 cannot adapt: only
    what psycopg2 raises for its connection counts as an outage then.
    SQLSTATEs: https://www.postgresql.org/docs/current/errcodes-appendix.html
    """
    sqlstate = getattr(error, "pgcode", None)
    if sqlstate is None:
        is_connection = isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError)
        return Fault.OUTAGE if is_connection else Fault.ROW
    fault = _BY_SQLSTATE.get(sqlstate) or _BY_CLASS.get(sqlstate[:2], Fault.ROW)
    return Fault.OUTAGE if fault is Fault.SERVER and _has_ended(error) else fault


def _has_ended(error: BaseException) -> bool:
    """Return whether *error* ended the session, and not only a statement."""
    diag = error.diag if isinstance(error, psycopg2.Error) else None
    return diag is not None and diag.severity_nonlocalized in {"FATAL", "PANIC"}


def translated(error: psycopg2.Error, role: str | None = None) -> Exception:
    """Return the exception by which the rest of orderd knows *error*; *role* is who connected.

    The text of *error* itself is replaced as well, for it is quoted wherever a trace is shown.
    """
    text = wording(error)
    error.args = (text,)
    match classify(error):
        case Fault.OUTAGE:
            refused = refusal(text, role)
            return DatabaseOutage(text) if refused is None else DatabaseRefused(refused)
        case Fault.CONFLICT:
            return _conflict(error, text)
        case Fault.LOCKED:
            table = _table_of_awaited_ids(error)
            if table is None:
                return _locked_out(error, text)
            return IdsTaken(text, table, is_awaited=True)
        case Fault.SERVER | Fault.SCHEMA | Fault.ROW as kind:
            return _BY_KIND[kind](text)


def _locked_out(error: psycopg2.Error, text: str) -> LockedOut:
    """Return the fault, with the row that was waited for where the server tells it."""
    where = (error.diag.context or "").partition("\n")[0]
    relation, place = _RELATION.search(where), _TUPLE.search(where)
    if relation is None:
        return LockedOut(text)
    # The tuple named with an index is that of the new row, not of the row in conflict with it.
    is_row = place is not None and not relation[2]
    return LockedOut(text, relation[1], place[0] if place is not None and is_row else None)


def _conflict(error: psycopg2.Error, text: str) -> TransactionConflict:
    """Return the conflict, with what there is to know of it."""
    table = _table_of_taken_ids(error)
    if table is not None:
        return IdsTaken(text, table)
    index = error.diag.constraint_name
    if error.pgcode == "23505" and error.diag.table_name in _WITH_UNIQUE and index:
        return UniqueTaken(text, index)
    return TransactionConflict(text)


def _table_of_taken_ids(error: psycopg2.Error) -> str | None:
    """Return the table in which another row has the id; None where it is not about ids."""
    constraint = error.diag.constraint_name
    taken = (table for table in _WITH_IDS if constraint == f"{table}_pkey")
    return next(taken, None) if error.pgcode == "23505" else None


def _table_of_awaited_ids(error: psycopg2.Error) -> str | None:
    """Return the table in which a row that is not committed has the id; None for other locks."""
    where = error.diag.context or ""
    return next((table for table in _WITH_IDS if f'"{table}_pkey"' in where), None)
