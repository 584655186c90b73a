"""Reading and locking what a batch names, in the one order that all daemons keep."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import Any, Final, NamedTuple

from orderd.db.arrays import array, texts
from orderd.db.transaction import Part, Transaction
from orderd.pipeline.ids import IdPool
from orderd.protocol.names import Queue
from orderd.protocol.replies import Response
from orderd.shop.needs import Needs
from orderd.shop.registry import SHOP
from orderd.shop.tables import Kind, Lines, R, Table
from orderd.shop.world import LedgerEntry, World

# Rows that hold many lines, and their lines, which are small; see `Transaction.pieces`.
PIECE_LINES: Final = 1_000
PIECE_ROWS_WITH_LINES: Final = 100

_TYPE_OF: Final[Mapping[Kind, str]] = {
    Kind.ID: "bigint",
    Kind.COUNT: "bigint",
    Kind.PRICE: "numeric",
    Kind.TOTAL: "numeric",
    Kind.NAME: "text",
    Kind.WORD: "text",
    Kind.BOOLEAN: "boolean",
}
_TIME: Final = "timestamptz"
_OPENING: Final = (_TIME, "bigint[]", "json", "boolean")
_TYPES: Final = {
    table: ("bigint", *(_TYPE_OF[each.kind] for each in table.columns), _TIME, _TIME, "bigint")
    for table in SHOP.lock_order
}
_Rows = Mapping[Table[Any], Mapping[int, Any]]


class _Load(NamedTuple):
    """Rows of *table* to load by *part*, except those with the ids *without*."""

    table: Table[Any]
    part: Part
    without: AbstractSet[int]


def open_world(
    tx: Transaction,
    needs: Needs,
    ids: IdPool,
    arriving: frozenset[Queue] | None,
    *,
    with_rows: bool,
) -> tuple[World, bool]:
    """Return the world of a batch with these *needs*, and whether places are kept.

    It is without rows, or, in the same round trip, *with_rows* (see `load_rows`).
    """
    shortage = ids.shortage(needs.new_rows)
    opening = Part(
        "open_batch",
        _OPENING,
        {
            "request_ids": texts(needs.request_ids),
            "tables": array(shortage),
            "counts": array(shortage.values()),
        },
        rows_max=1,
    )
    loading = _Loading(tx, needs)
    parts = loading.begin({}) if with_rows else []
    (opened,), *found = tx.together([opening, *parts])
    now, fetched, ledger, are_places_kept = opened
    new_ids = iter(fetched)
    for table, count in shortage.items():
        ids.add(table, list(islice(new_ids, count)))
    world = World(SHOP.tables, now, ids.fresh(), arriving=arriving)
    for request_id, fingerprint, response in ledger or ():
        answered = Response.from_stored(response, SHOP.row_fields)
        world.ledger[request_id] = LedgerEntry(fingerprint, answered)
    if with_rows:
        world.ask(needs)
        loading.take(world, found)
        loading.go_on(world)
    return world, are_places_kept


def load_rows(tx: Transaction, needs: Needs, world: World) -> None:
    """Add the rows to *world* that *needs* names, and lock what may be changed.

    What is asked for to be locked, and is not there then, stays unknown to the whole batch: a later
    statement may see the row, but without a lock.
    """
    world.ask(needs)
    _Loading(tx, needs).go_on(world)


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
    no_values = {f"{column}s": texts(()) for column in table.unique}
    return read_rows(tx, table, f"read_{table.name}", ids=array(ids), **no_values)


class _Loading:
    """Loads what *needs* names in few statements, table by table in the order of locks."""

    def __init__(self, tx: Transaction, needs: Needs) -> None:
        self._tx = tx
        self._needs = needs
        self._left = SHOP.lock_order
        self._tables: Sequence[Table[Any]] = ()
        self._loads: list[_Load] = []

    def begin(self, rows: _Rows) -> list[Part]:
        """Return the parts of the next statement, where *rows* are loaded; there may be none."""
        tables: list[Table[Any]] = []
        for table in self._left:
            tables.append(table)
            # Lines are locked after their rows, by a later statement, which sees what a transaction
            # wrote that held the lock before; and what is followed has to be known.
            has_lines = table.lines is not None and self._needs.ids_to_lock(table, rows)
            if has_lines or self._needs.followed.get(table):
                break
        self._tables, self._left = tables, self._left[len(tables) :]
        self._loads = [load for table in self._tables for load in self._loads_of(table, rows)]
        return [load.part for load in self._loads]

    def take(self, world: World, found: Sequence[Sequence[tuple[Any, ...]]]) -> None:
        """Add to *world* the rows *found* by the parts, and the lines of them."""
        for load, rows in zip(self._loads, found, strict=True):
            world.load(load.table, _made(self._tx, load.table, rows), without=load.without)
        for table in self._tables:
            if table.lines is not None and (wanted := self._to_read(table)):
                rows_read = read_rows(self._tx, table, f"read_{table.name}", **wanted)
                world.load(table, rows_read, without=self._to_lock(table, world.rows))

    def go_on(self, world: World) -> None:
        """Load into *world* what is left."""
        while self._left:
            parts = self.begin(world.rows)
            for table in self._tables:
                world.may_change(table, self._needs.ids_to_lock(table, world.rows))
            self.take(world, self._tx.together(parts) if parts else ())

    def _loads_of(self, table: Table[Any], rows: _Rows) -> Iterator[_Load]:
        """Yield what to load of *table*: first what is to be changed, then what is referred to."""
        to_change = self._needs.ids_to_lock(table, rows)
        if to_change:
            yield _Load(table, _by_id("lock", table, to_change), frozenset())
        if to_refer_to := self._needs.referred_to.get(table):
            yield _Load(table, _by_id("refer_to", table, to_refer_to), to_change)
        if table.lines is None and (wanted := self._to_read(table)):
            part = Part(f"read_{table.name}", _TYPES[table], wanted, self._read_max(table))
            yield _Load(table, part, self._to_lock(table, rows))

    def _to_lock(self, table: Table[Any], rows: _Rows) -> AbstractSet[int]:
        return self._needs.ids_to_lock(table, rows) | self._needs.referred_to.get(table, set())

    def _to_read(self, table: Table[Any]) -> dict[str, str]:
        """Return what to read of *table* without a lock, as parameters; empty for nothing."""
        seen = self._needs.seen.get(table, ())
        values = {f"{c}s": self._needs.looked_up.get((table, c), ()) for c in table.unique}
        if not seen and not any(values.values()):
            return {}
        return {"ids": array(seen), **{name: texts(each) for name, each in values.items()}}

    def _read_max(self, table: Table[Any]) -> int:
        """Return how many rows of *table* there are to read without a lock, at most."""
        looked_up = (self._needs.looked_up.get((table, c), ()) for c in table.unique)
        return sum(map(len, looked_up), len(self._needs.seen.get(table, ())))


def _by_id(name: str, table: Table[Any], ids: Collection[int]) -> Part:
    return Part(f"{name}_{table.name}", _TYPES[table], {"ids": array(ids)}, len(ids))


def _made(tx: Transaction, table: Table[Any], rows: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Return *rows* of a table, those that have lines with these, locked as well."""
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
