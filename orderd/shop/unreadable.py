"""Rows of others with values that no reply can tell: each costs what is asked of it alone."""

from collections.abc import Iterator
from operator import attrgetter
from typing import Any, Final

from orderd.protocol.envelope import Command
from orderd.protocol.names import RefusalCode
from orderd.protocol.rows import Row
from orderd.shop.outcomes import Refused
from orderd.shop.registry import SHOP
from orderd.shop.tables import AMOUNTS, Table
from orderd.shop.world import World

_TIMES: Final = ("created_at", "updated_at")
_NEVER_NULL: Final[dict[type, tuple[str, ...]]] = {
    row: (*(c.name for c in table.columns if not c.may_be_null), *_TIMES, "revision")
    for row, table in SHOP.tables.items()
}
_AMOUNTS: Final[dict[type, tuple[str, ...]]] = {
    row: tuple(column.name for column in table.columns if column.kind in AMOUNTS)
    for row, table in SHOP.tables.items()
}
_VALUES: Final = {row: attrgetter(*names) for row, names in _NEVER_NULL.items()}


def refusal_of(world: World, command: Command) -> Refused | None:
    """Return the refusal where *command* asks for, or would write, a row that cannot be told."""
    if world.is_flawed is None:
        # Rows of before the batch are looked at once; those that it makes can be told.
        stored = (row for rows in world.stored.values() for row in rows.values())
        world.is_flawed = any(flaw_of(row) is not None for row in stored)
    if not world.is_flawed:
        return None
    for row in _rows_of(world, command):
        flaw = flaw_of(row)
        if flaw is not None:
            message = f"{type(row).__name__} {row.id} cannot be read: {flaw}; correct the row"
            return Refused(RefusalCode.UNREADABLE_ROW, message)
    return None


def flaw_of(row: Row) -> str | None:
    """Return which value of *row* cannot be told, None where all can."""
    kind = type(row)
    values: tuple[Any, ...] = _VALUES[kind](row)
    if None in values:
        name = _NEVER_NULL[kind][values.index(None)]
        return (
            f"{name} is {'not a timestamp between years 1 and 9999' if name in _TIMES else 'null'}"
        )
    for name in _AMOUNTS[kind]:
        amount = getattr(row, name)
        if not amount.is_finite():
            return f"{name} is {amount}"
    return SHOP.tables[kind].flaw(row)


def _rows_of(world: World, command: Command) -> Iterator[Row]:
    """Yield those rows of *world* that *command* shows or changes, not those it only refers to."""
    needs = SHOP.needs_of([command])
    for table in SHOP.lock_order:
        ids = needs.ids_to_lock(table, world.rows) | needs.seen[table]
        yield from _known(world, table, ids)


def _known(world: World, table: Table[Any], ids: set[int]) -> Iterator[Row]:
    rows = world.rows[table]
    return (rows[row_id] for row_id in sorted(ids) if row_id in rows)
