"""Reading and locking what a batch names, in the one order that all daemons keep."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import Any, Final

from orderd.db.arrays import array
from orderd.db.transaction import Transaction
from orderd.pipeline.ids import IdPool
from orderd.protocol.names import Queue
from orderd.protocol.replies import Response
from orderd.shop.needs import Needs
from orderd.shop.registry import SHOP
from orderd.shop.tables import Lines, R, Table
from orderd.shop.world import LedgerEntry, World

# Rows that hold many lines, and their lines, which are small; see `Transaction.pieces`.
PIECE_LINES: Final = 1_000
PIECE_ROWS_WITH_LINES: Final = 100


def open_world(
    tx: Transaction, needs: Needs, ids: IdPool, arriving: frozenset[Queue] | None
) -> tuple[World, bool]:
    """Return a world without rows for a batch with these *needs*, and whether places are kept."""
    shortage = ids.shortage(needs.new_rows)
    now, fetched, ledger, are_places_kept = tx.row(
        "open_batch",
        request_ids=list(needs.request_ids),
        tables=list(shortage),
        counts=array(shortage.values()),
    )
    new_ids = iter(fetched)
    for table, count in shortage.items():
        ids.add(table, list(islice(new_ids, count)))
    world = World(SHOP.tables, now, ids.fresh(), arriving=arriving)
    for request_id, fingerprint, response in ledger or ():
        answered = Response.from_stored(response, SHOP.row_fields)
        world.ledger[request_id] = LedgerEntry(fingerprint, answered)
    return world, are_places_kept


def load_rows(tx: Transaction, needs: Needs, world: World) -> None:
    """Add the rows to *world* that *needs* names, and lock what may be changed.

    What is asked for to be locked, and is not there then, stays unknown to the whole batch: a later
    statement may see the row, but without a lock.
    """
    world.ask(needs)
    for table in SHOP.lock_order:
        # Those that are followed are known by now: rows that name others are locked before them.
        to_change = needs.ids_to_lock(table, world.rows)
        world.may_change(table, to_change)
        _load(tx, table, needs, world, to_change)


def read_rows(tx: Transaction, table: Table[R], name: str, /, **wanted: Any) -> list[R]:
    """Return the rows that the query *name* reads, each with its lines of the same moment."""
    if table.lines is None:
        return [table.make(*row) for row in tx.pieces(name, **wanted)]
    width = len(table.lines.columns) + 1
    rows = []
    for row in tx.pieces(name, rows_max=PIECE_ROWS_WITH_LINES, **wanted):
        columns = zip(*(column or () for column in row[-width:]), strict=True)
        lines = tuple(table.lines.row(*line) for line in columns)
        rows.append(table.make(row[:-width], lines))
    return rows


def rows_by_id(tx: Transaction, table: Table[R], ids: Iterable[int]) -> list[R]:
    """Return the rows of *table* with these ids, as they are."""
    no_values: dict[str, Any] = {f"{column}s": [] for column in table.unique}
    return read_rows(tx, table, f"read_{table.name}", ids=array(ids), **no_values)


def _load(
    tx: Transaction, table: Table[Any], needs: Needs, world: World, to_change: AbstractSet[int]
) -> None:
    if to_change:
        world.load(table, _locked(tx, table, to_change))
    to_lock = to_change
    if to_refer_to := needs.referred_to.get(table):
        rows = read_rows(tx, table, f"refer_to_{table.name}", ids=array(to_refer_to))
        world.load(table, rows, without=to_change)
        to_lock = to_change | to_refer_to
    seen = needs.seen.get(table, set())
    values = {f"{c}s": list(needs.looked_up.get((table, c), ())) for c in table.unique}
    if seen - world.rows[table].keys() or any(values.values()):
        rows = read_rows(tx, table, f"read_{table.name}", ids=array(seen), **values)
        world.load(table, rows, without=to_lock)


def _locked(tx: Transaction, table: Table[Any], ids: AbstractSet[int]) -> list[Any]:
    """Return the rows with their lines, all locked."""
    rows = tx.pieces(f"lock_{table.name}", ids=array(ids))
    if table.lines is None:
        return [table.make(*row) for row in rows]
    lines = _locked_lines(tx, table.lines, [row[0] for row in rows])
    return [table.make(row, tuple(lines[row[0]])) for row in rows]


def _locked_lines(tx: Transaction, lines: Lines, row_ids: list[int]) -> dict[int, list[Any]]:
    """Return the lines of each row, by its id."""
    found: dict[int, list[Any]] = {row_id: [] for row_id in row_ids}
    if row_ids:
        name = f"lock_{lines.name}"
        for row_id, *line in tx.pieces(name, rows_max=PIECE_LINES, row_ids=array(row_ids)):
            found[row_id].append(lines.row(*line))
    return found
