"""Whether the tables fit at all, or only one command fails on them."""

import re
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from typing import Any, Final

from orderd.db.connection import Database
from orderd.db.faults import RowFault
from orderd.db.table_queries import read_on_the_way, written_on_the_way
from orderd.db.transaction import Transaction
from orderd.shop.registry import SHOP

_READS: Final = (
    *(name for table in SHOP.lock_order for name in read_on_the_way(table)),
    "written_processed_requests",
    "written_outbox",
    "open_batch",
    "read_places",
)
_WRITES: Final = (
    "insert_processed_requests",
    *(name for entity in SHOP.entities for name in written_on_the_way(entity.table)),
    "insert_outbox",
    "delete_outbox",
    "mark_tries_committed",
    "keep_places",
    "end_places",
)
_PARAMETER: Final = re.compile(r"(string_to_array\()?%\((\w+)\)s(::\w+\[\])?")


class _Undo(Exception):
    """Ends the transaction with ROLLBACK."""


class Probe:
    """The statements of a batch, on no rows."""

    def __init__(self, database: Database) -> None:
        """Try them on *database*."""
        self._database = database

    def raise_if_for_all(self) -> None:
        """Raise what every command would meet, after a fault that may be that of one of them.

        What somebody's trigger makes of no rows at all is for those that write to its table.
        """
        with suppress(RowFault):
            self.run()

    def run(self) -> None:
        """Run them, and roll back.

        Raises what every command would meet: `SchemaFault` where a table, a column or a right is
        missing, `ServerFault` where the server fails at a table or an index itself.
        """
        with suppress(_Undo), self._database.transaction() as tx:
            self.touch(tx)
            raise _Undo

    def touch(self, tx: Transaction) -> None:
        """Run them with *tx*, which thereby waits for sessions that have locked a table."""
        for name in _WRITES:
            tx.later(name, **self._parameters[name])
        # Each sends what waits.
        for name in _READS:
            tx.rows(name, **self._parameters[name])

    @cached_property
    def _parameters(self) -> Mapping[str, dict[str, Any]]:
        queries = self._database.queries
        return {name: _no_rows(queries[name]) for name in (*_WRITES, *_READS)}


def _no_rows(sql: str) -> dict[str, Any]:
    """Return parameters for *sql* that stand for no rows at all."""
    return {
        name: "" if is_lines else "{}" if is_array else 0
        for is_lines, name, is_array in _PARAMETER.findall(sql)
    }
