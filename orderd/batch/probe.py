"""Whether the tables fit at all, or only one command fails on them."""

import re
from contextlib import suppress
from typing import Any, Final

from orderd.db.connection import Database
from orderd.db.queries import load_queries

_READS: Final = (
    "lock_orders",
    "read_order_items",
    "lock_products",
    "lock_users",
    "refer_to_users",
    "open_batch",
)
_WRITES: Final = (
    "insert_processed_requests",
    "insert_users",
    "update_users",
    "insert_products",
    "update_products",
    "insert_orders",
    "update_orders",
    "insert_order_items",
    "update_order_items",
    "delete_order_items",
    "insert_outbox",
    "delete_outbox",
    "mark_tries_committed",
)
_PARAMETER: Final = re.compile(r"(string_to_array\()?%\((\w+)\)s(::\w+\[\])?")


class _Undo(Exception):
    """Ends the transaction with ROLLBACK."""


def probe(database: Database) -> None:
    """Run the statements of a batch on no rows, and roll back.

    Raises what every command would meet: `SchemaFault` where a table, a column or a right is
    missing.
    """
    queries = load_queries()
    with suppress(_Undo), database.transaction() as tx:
        for name in _WRITES:
            tx.later(name, **_no_rows(queries[name]))
        # Each sends what waits.
        for name in _READS:
            tx.rows(name, **_no_rows(queries[name]))
        raise _Undo


def _no_rows(sql: str) -> dict[str, Any]:
    """Return parameters for *sql* that stand for no rows at all."""
    return {
        name: "" if is_lines else "{}" if is_array else 0
        for is_lines, name, is_array in _PARAMETER.findall(sql)
    }
