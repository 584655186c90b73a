"""What a batch names: which rows to load, what of them to lock, how many ids to fetch."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from orderd.shop.tables import Table

_Ids = defaultdict[Table[Any], set[int]]


def _no_ids() -> _Ids:
    return defaultdict(set)


@dataclass(slots=True)
class Needs:
    """What a batch wants to do with which rows; each action's `needs` adds its own here.

    A rule may see no row that was not asked for, and change none that was not asked for to change.
    """

    request_ids: set[str] = field(default_factory=set)
    changed: _Ids = field(default_factory=_no_ids)
    referred_to: _Ids = field(default_factory=_no_ids)
    seen: _Ids = field(default_factory=_no_ids)
    followed: _Ids = field(default_factory=_no_ids)
    looked_up: defaultdict[tuple[Table[Any], str], set[str]] = field(
        default_factory=lambda: defaultdict(set)
    )
    new_rows: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))

    def to_change(self, table: Table[Any], row_id: int) -> None:
        """Load the row and lock it against changes by others."""
        self.changed[table].add(row_id)

    def to_change_with_it(self, table: Table[Any], row_id: int) -> None:
        """Load and lock the row, and the rows that it names: those that its table *follows*."""
        self.changed[table].add(row_id)
        self.followed[table].add(row_id)

    def to_refer_to(self, table: Table[Any], row_id: int) -> None:
        """Load the row and keep others from deleting it, as another row is to refer to it."""
        if not table.is_referred_to:
            raise LookupError(f"table {table.name} is not declared as referred to")
        self.referred_to[table].add(row_id)

    def to_see(self, table: Table[Any], row_id: int) -> None:
        """Load the row as it is; others may change it meanwhile."""
        self.seen[table].add(row_id)

    def to_look_up(self, table: Table[Any], column: str, value: str) -> None:
        """Load the row that has *value* in the unique *column*, if there is one."""
        if column not in table.unique:
            raise LookupError(f"column {table.name}.{column} is not declared as unique")
        self.looked_up[table, column].add(value)

    def to_make(self, table: Table[Any], *, lines: int = 0) -> None:
        """Have an id ready for a new row, and for so many lines of it."""
        self.new_rows[table.name] += 1
        if lines:
            self.to_make_lines(table, lines)

    def to_make_lines(self, table: Table[Any], count: int) -> None:
        """Have ids ready for so many new lines of rows of *table*."""
        if table.lines is None:
            raise LookupError(f"table {table.name} has no lines")
        self.new_rows[table.lines.name] += count

    def ids_to_lock(
        self, table: Table[Any], rows: Mapping[Table[Any], Mapping[int, Any]]
    ) -> set[int]:
        """Return which rows of *table* to change, with those that the loaded *rows* name."""
        ids = set(self.changed[table]) if table in self.changed else set()
        for other, wanted in self.followed.items():
            for named, ids_in in other.follows:
                if named is table:
                    ids.update(*map(ids_in, _found(rows[other], wanted)))
        return ids


def _found(rows: Mapping[int, Any], ids: Iterable[int]) -> Iterable[Any]:
    return (rows[row_id] for row_id in ids if row_id in rows)


def nothing(_needs: Needs, _content: Any) -> None:
    """Ask for no rows."""
