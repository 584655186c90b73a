"""How an entity says what its table is like; SQL, checks and conversions derive from that."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import field
from enum import Enum, auto
from typing import Any, Final, Generic, TypeVar

from orderd.protocol.rows import Row
from orderd.protocol.values import value

R = TypeVar("R", bound=Row)


class Kind(Enum):
    """What a column holds."""

    ID = auto()
    COUNT = auto()
    PRICE = auto()
    TOTAL = auto()
    NAME = auto()  # free text
    WORD = auto()  # one of a closed set
    BOOLEAN = auto()


AMOUNTS: Final = frozenset({Kind.PRICE, Kind.TOTAL})


@value
class Column:
    """A column that orderd writes; the row has an attribute of the same name.

    `is_fixed` means that no command changes it once the row is there, `is_unique` that no two rows
    have the same value, `has_check` that a CHECK constraint limits it.
    """

    name: str
    kind: Kind
    is_fixed: bool = False
    is_unique: bool = False
    may_be_null: bool = False
    has_check: bool = False
    refers_to: str = ""


@value(eq=False)
class Lines:
    """The table of what a row consists of, such as the items of an order.

    *parent* is the column that says of which row a line is. The row has its lines, by id, in the
    attribute *attribute*.
    """

    name: str
    row: type[Any]
    parent: Column
    columns: tuple[Column, ...]
    attribute: str

    def of(self, row: Any) -> Sequence[Any]:
        """Return the lines of *row*."""
        lines: Sequence[Any] = getattr(row, self.attribute)
        return lines


@value(eq=False)
class Table(Generic[R]):
    """The table of an entity, with what is written to it.

    *columns* are those besides `id`, `created_at`, `updated_at` and `revision`, which all have, in
    the order of their queries. *make* returns the row of what the queries read: its columns, and
    where it has *lines*, these. With *is_referred_to*, rows of others may refer to its rows.
    *follows* are other tables, each with the ids that a row names there, of rows that change with
    it where `Needs.to_change_with_it` says so. *flaw* returns which value of a row's lines no reply
    can tell.
    """

    name: str
    row: type[R]
    columns: tuple[Column, ...]
    make: Callable[..., R]
    lines: Lines | None = None
    is_referred_to: bool = False
    follows: tuple[tuple["Table[Any]", Callable[[R], Iterable[int]]], ...] = ()
    flaw: Callable[[R], str | None] = lambda _: None
    unique: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Note which columns are unique; raises ValueError where more than one may be null."""
        if sum(column.may_be_null for column in self.columns) > 1:
            raise ValueError(f"table {self.name}: what is written could not be told apart")
        unique = tuple(column.name for column in self.columns if column.is_unique)
        object.__setattr__(self, "unique", unique)


# The table of events to send: it has ids of its own, but no rows that a rule may see.
OUTBOX: Final = "outbox"
