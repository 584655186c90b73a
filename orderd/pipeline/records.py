"""Transactions on orderd's own records: what it notes beside the work, in tables that all need."""

from collections.abc import Iterator
from contextlib import contextmanager

from orderd.db.connection import Database
from orderd.db.faults import DatabaseOutage, LockedOut
from orderd.db.transaction import Transaction


@contextmanager
def recording(database: Database, table: str) -> Iterator[Transaction]:
    """Run the block in a transaction on *table*.

    A lock on it is no message's fault, but an outage: `DatabaseOutage`.
    """
    try:
        with database.transaction() as tx:
            yield tx
    except LockedOut as fault:
        raise DatabaseOutage(f"the table {table} is locked: {fault}") from fault
