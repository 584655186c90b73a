"""Which named queries the table of an entity needs; they stand together in one file of SQL."""

from collections.abc import Iterator
from typing import Any, Final

from orderd.shop.registry import SHOP
from orderd.shop.tables import Table


def read_on_the_way(table: Table[Any]) -> Iterator[str]:
    """Yield the names of the queries that read the table on the way of a change."""
    yield f"lock_{table.name}"
    if table.lines is not None:
        yield f"lock_{table.lines.name}"
    if table.is_referred_to:
        yield f"refer_to_{table.name}"
    yield f"written_{table.name}"
    if table.lines is not None:
        yield f"written_{table.lines.name}"


def written_on_the_way(table: Table[Any]) -> Iterator[str]:
    """Yield the names of the statements that write to the table."""
    yield f"insert_{table.name}"
    yield f"update_{table.name}"
    if table.lines is not None:
        yield f"insert_{table.lines.name}"
        yield f"update_{table.lines.name}"
        yield f"delete_{table.lines.name}"


def all_queries(table: Table[Any]) -> Iterator[str]:
    """Yield the names of all queries that the table needs."""
    yield from read_on_the_way(table)
    yield from written_on_the_way(table)
    yield f"read_{table.name}"
    yield f"list_{table.name}"
    yield f"count_{table.name}"
    for name in (table.name, *([] if table.lines is None else [table.lines.name])):
        yield f"locked_{name}"
        yield f"free_id_of_{name}"
        yield f"validate_{name}"
        yield f"untellable_{name}"


def _of_batches(table: Table[Any]) -> Iterator[str]:
    """Yield the names of the queries of most batches that have to do with the table."""
    yield f"lock_{table.name}"
    if table.is_referred_to:
        yield f"refer_to_{table.name}"
    if table.lines is None:
        yield f"read_{table.name}"
    yield from written_on_the_way(table)


# What a daemon executes again and again.
PREPARED: Final = frozenset(
    {
        "open_batch",
        "look_at_tables",
        "insert_processed_requests",
        "insert_outbox",
        *(name for table in SHOP.lock_order for name in _of_batches(table)),
    }
)
