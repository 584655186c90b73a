"""The rows that a batch works on."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from orderd.protocol.names import Queue
from orderd.protocol.replies import Response
from orderd.protocol.rows import Row
from orderd.protocol.values import value
from orderd.shop.needs import Needs
from orderd.shop.outcomes import Applied
from orderd.shop.tables import Lines, Table
from orderd.shop.turns import Turns

R = TypeVar("R", bound=Row)


class NotAskedFor(LookupError):
    """A rule wants a row that the `needs` of its action do not name."""


@dataclass(slots=True)
class FreshIds:
    """Ids of rows to come, by table, taken ahead of time; what is not used stays free."""

    free: Mapping[str, Sequence[int]]
    used: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        """Begin with no id used."""
        self.used = dict.fromkeys(self.free, 0)

    def peek(self, table: str, count: int = 1) -> Sequence[int]:
        """Return the next *count* free ids, ascending, without using them."""
        first = self.used[table]
        ids = self.free[table][first : first + count]
        if len(ids) < count:
            raise LookupError(f"{table}: {count} ids wanted, {len(ids)} left")
        return ids

    def use(self, table: str, count: int = 1) -> Sequence[int]:
        """Return the next *count* free ids and use them."""
        ids = self.peek(table, count)
        self.used[table] += count
        return ids


@value
class LedgerEntry:
    """What is known of a request that was settled before."""

    fingerprint: str
    response: Response


@dataclass(slots=True)
class World:
    """The rows a batch names, as they are after each of its commands in turn.

    `tables` are those of all entities, by their rows' classes.
    `arriving` are the queues that may bring what others refer to, None where nobody has asked;
    `has_asked_for_arrivals` tells that a decision depends on them.
    `is_flawed` tells whether a row has a value that JSON cannot represent, None if not checked.
    """

    tables: Mapping[type, Table[Any]]
    now: datetime
    fresh_ids: FreshIds
    ledger: dict[str, LedgerEntry] = field(default_factory=dict)
    turns: Turns = field(default_factory=Turns)
    arriving: frozenset[Queue] | None = None
    has_asked_for_arrivals: bool = False
    is_flawed: bool | None = None
    rows: dict[Table[Any], dict[int, Any]] = field(init=False)
    stored: dict[Table[Any], dict[int, Any]] = field(init=False)
    _holders: dict[tuple[Table[Any], str], dict[Any, int]] = field(init=False)
    _asked: Needs = field(init=False)
    _may_change: dict[Table[Any], AbstractSet[int]] = field(init=False)
    _may_see: dict[Table[Any], AbstractSet[int]] = field(init=False)

    def __post_init__(self) -> None:
        """Begin without rows."""
        tables = self.tables.values()
        self.rows = {table: {} for table in tables}
        self.stored = {table: {} for table in tables}
        self._holders = {(table, column): {} for table in tables for column in table.unique}
        self._asked = Needs()
        self._may_change = defaultdict(frozenset)
        self._may_see = defaultdict(frozenset)

    def find(self, table: Table[R], row_id: int) -> R | None:
        """Return the row, None where there is none; raises NotAskedFor."""
        if row_id not in self._may_see[table]:
            raise NotAskedFor(f"row {row_id} of table {table.name}: the action's needs lack it")
        return self.rows[table].get(row_id)

    def holder_of(self, table: Table[Any], column: str, value: str) -> int | None:
        """Return the id of the row with *value* in a unique column; raises NotAskedFor.

        0 stands for a row that only the database knows.
        """
        holder = self._holders[table, column].get(value)
        if holder is None and value not in self._asked.looked_up[table, column]:
            raise NotAskedFor(f"{column} of table {table.name}: the action's needs lack the value")
        return holder

    def next_id(self, table: Table[Any]) -> int:
        """Return the id that the next new row is to have."""
        return self.fresh_ids.peek(table.name)[0]

    def next_line_ids(self, table: Table[Any], count: int) -> Sequence[int]:
        """Return the ids that the next *count* new lines of rows of *table* are to have."""
        if table.lines is None:
            raise LookupError(f"table {table.name} has no lines")
        return self.fresh_ids.peek(table.lines.name, count)

    def ask(self, needs: Needs) -> None:
        """Let rules see what *needs* names, and nothing else."""
        self._asked = needs
        self._may_change = defaultdict(frozenset)
        for table in self.rows:
            self.may_change(table, needs.ids_to_lock(table, self.rows))

    def may_change(self, table: Table[Any], ids: AbstractSet[int]) -> None:
        """Let rules see and change these rows of *table*: locked, if they are there."""
        self._may_change[table] = ids
        self._may_see[table] = ids | self._asked.seen[table] | self._asked.referred_to[table]

    def mark_taken(self, table: Table[Any], column: str, value: str) -> None:
        """Note that a row that cannot be seen has *value* in a unique column."""
        self._holders[table, column].setdefault(value, 0)

    def load(
        self, table: Table[Any], rows: Iterable[Row], *, without: AbstractSet[int] = frozenset()
    ) -> None:
        """Add rows as the database holds them; a row that is here already stays as it is.

        *without* are ids of rows that were not there to be locked: they stay unknown, for nobody
        keeps others from changing them.
        """
        stored = self.stored[table]
        for row in rows:
            if row.id not in without and row.id not in stored:
                stored[row.id] = row
                self._put(table, row)

    def apply(self, applied: Applied) -> None:
        """Take over what a command changed; raises NotAskedFor."""
        changes = [(self.tables[type(row)], row) for row in applied.changes]
        for table, row in changes:
            if row.id not in self._may_change[table] and row.id in self.rows[table]:
                raise NotAskedFor(f"row {row.id} of table {table.name}: is not asked for to change")
        for table, row in changes:
            before = self.rows[table].get(row.id)
            if before is None:
                self.fresh_ids.use(table.name)
            if table.lines is not None:
                self._use_line_ids(table.lines, before, row)
            self._put(table, row)

    def new_rows(self, table: Table[R]) -> list[R]:
        """Return the rows of *table* that the database does not hold yet."""
        stored = self.stored[table]
        return [row for row_id, row in self.rows[table].items() if row_id not in stored]

    def changed_rows(self, table: Table[R]) -> list[tuple[R, R]]:
        """Return what the database holds in another form, each as it was and as it is."""
        rows = self.rows[table]
        return [
            (was, rows[row_id])
            for row_id, was in self.stored[table].items()
            if was is not rows[row_id]
        ]

    def _put(self, table: Table[Any], row: Row) -> None:
        rows = self.rows[table]
        for column in table.unique:
            holders = self._holders[table, column]
            value = getattr(row, column)
            before = rows.get(row.id)
            if before is not None and (former := getattr(before, column)) != value:
                holders.pop(former, None)
            holders[value] = row.id
        rows[row.id] = row

    def _use_line_ids(self, lines: Lines, before: Row | None, row: Row) -> None:
        ids = {line.id for line in lines.of(row)}
        if before is not None:
            ids.difference_update(line.id for line in lines.of(before))
        self.fresh_ids.use(lines.name, len(ids))
