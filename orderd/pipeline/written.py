"""Whether the tables hold what a batch has written, looked at before it is committed."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any, Final

from orderd.db.arrays import array, texts
from orderd.db.transaction import Transaction
from orderd.pipeline.outbox.rows import OutboxRow
from orderd.protocol.values import value
from orderd.shop.decide import Decision
from orderd.shop.outcomes import Refused
from orderd.shop.registry import SHOP
from orderd.shop.tables import AMOUNTS, OUTBOX, Column, Kind, Lines, Table
from orderd.shop.world import World

# A row's id and its fields, as the table's query writes them.
_Line = tuple[Any, str]

_FIELD: Final = "\x1f"
_ROW: Final = "\x1e"
_LEDGER: Final = "processed_requests"
_TIMES: Final = ("created_at", "updated_at")


def _columns(table: Table[Any]) -> tuple[str, ...]:
    """Return the columns in the order of the table's query: free text behind, a null at the end."""

    def is_last(column: Column) -> tuple[bool, bool]:
        return column.may_be_null, column.kind is Kind.NAME

    columns = sorted(table.columns, key=is_last)
    front = [column.name for column in columns if not any(is_last(column))]
    return ("id", *front, "revision", *_TIMES, *(c.name for c in columns[len(front) :]))


# The fields of each table, in the order of its query.
COLUMNS: Final[Mapping[str, Sequence[str]]] = {
    **{table.name: _columns(table) for table in SHOP.lock_order},
    **{
        each.name: ("id", each.parent.name, *(column.name for column in each.columns))
        for each in SHOP.lines
    },
    OUTBOX: ("id", "message_id", "type", "body"),
    _LEDGER: ("id", "queue", "action", "outcome", "fingerprint", "actor", "code"),
}
_NUMBERS: Final = frozenset(
    column.name
    for columns in (*(t.columns for t in SHOP.lock_order), *(each.columns for each in SHOP.lines))
    for column in columns
    if column.kind in AMOUNTS
)


class WrittenDiffers(Exception):
    """A table does not hold what was written to it: because of a trigger, rule or row security."""


@value
class _Part:
    """What one table is to hold: these *lines*, each with its id, and no others of these *ids*."""

    table: str
    ids: str
    lines: Sequence[_Line]

    def text(self) -> str:
        """Return the lines as the table's query does."""
        return _ROW.join([line for _, line in sorted(self.lines)])


def check_written(
    tx: Transaction, world: World, decisions: Iterable[Decision], events: Sequence[OutboxRow]
) -> None:
    """Compare what the tables hold with what was decided.

    Replies, events and the ledger say what was decided. Raises `WrittenDiffers` where one of them
    would say what is not so.
    """
    parts = _parts(world, decisions, events)
    held = dict(tx.union({f"written_{part.table}": {"ids": part.ids} for part in parts}))
    for part in parts:
        expected, found = part.text(), held[part.table] or ""
        difference = None if expected == found else _difference(part.table, expected, found)
        if difference is not None:
            acting = ", ".join(row[0] for row in tx.rows("name_obstacles", table=part.table))
            raise WrittenDiffers(f"{difference}; acting on the table: {acting or 'nothing known'}")


def _parts(world: World, decisions: Iterable[Decision], events: Sequence[OutboxRow]) -> list[_Part]:
    """Return what each table is to hold, of those that were written to."""
    ledger = [_request(decision) for decision in decisions if decision.is_recorded]
    parts = [_Part(_LEDGER, texts(line[0] for line in ledger), ledger)]
    for entity in SHOP.entities:
        table = entity.table
        rows = world.new_rows(table) + [now for _, now in world.changed_rows(table)]
        if rows:
            text_of = _TEXTS[table]
            parts.append(_part(table.name, [(row.id, text_of(row, world.now)) for row in rows]))
            if table.lines is not None:
                ids = array([row.id for row in rows])
                parts.append(_Part(table.lines.name, ids, _lines_of(table.lines, rows)))
    parts.append(_part(OUTBOX, [_event(row) for row in events]))
    return [part for part in parts if part.lines or part.table not in {_LEDGER, OUTBOX}]


def _part(table: str, lines: Sequence[_Line]) -> _Part:
    return _Part(table, array([row_id for row_id, _ in lines]), lines)


def _text_of(table: Table[Any]) -> Callable[[Any, datetime], str]:
    """Return what writes a row as the table's query does; made once, as it is on the hot path."""
    columns = _columns(table)
    form = _FIELD.join(["%s"] * len(columns))
    values = attrgetter(*columns)
    created = columns.index("created_at")
    truths = [columns.index(c.name) for c in table.columns if c.kind is Kind.BOOLEAN]
    has_null = any(column.may_be_null for column in table.columns)
    form_of_null = _FIELD.join(["%s"] * (len(columns) - 1))

    def text_of(row: Any, now: datetime) -> str:
        found = list(values(row))
        found[created] = _truth(found[created] == now)
        found[created + 1] = _truth(found[created + 1] == now)
        for place in truths:
            found[place] = _truth(found[place])
        if has_null and found[-1] is None:
            return form_of_null % tuple(found[:-1])
        return form % tuple(found)

    return text_of


_TEXTS: Final = {table: _text_of(table) for table in SHOP.lock_order}
_LINE_VALUES: Final = {
    each: attrgetter(*(column.name for column in each.columns)) for each in SHOP.lines
}


def _lines_of(table: Lines, rows: Iterable[Any]) -> list[_Line]:
    values = _LINE_VALUES[table]
    form = _FIELD.join(["%s"] * (2 + len(table.columns)))
    return [
        (line.id, form % (line.id, row.id, *values(line))) for row in rows for line in table.of(row)
    ]


def _event(row: OutboxRow) -> _Line:
    return row.id, f"{row.id}\x1f{row.message_id}\x1f{row.type}\x1f{len(row.body)}"


def _request(decision: Decision) -> _Line:
    command, outcome = decision.command, decision.outcome
    ending = f"applied\x1f{command.fingerprint}\x1f{command.actor or ''}"
    if isinstance(outcome, Refused):
        ending = f"refused\x1f{command.fingerprint}\x1f{command.actor or ''}\x1f{outcome.code}"
    request_id = command.request_id
    return request_id, f"{request_id}\x1f{command.queue}\x1f{command.action}\x1f{ending}"


def _truth(value: object) -> str:
    return "t" if value else "f"


def _difference(table: str, expected: str, found: str) -> str | None:
    """Return in words what is not as it was written, None where the difference is in form only.

    A column that has become wider tells the same number with more digits.
    """
    were, are = _by_id(table, expected), _by_id(table, found)
    for row_id in dict.fromkeys([*were, *are]):
        name = f"table {table}, row {row_id}"
        if row_id not in are:
            return f"{name}: is missing after the write"
        if row_id not in were:
            return f"{name}: exists, although it was deleted or not written"
        for column in COLUMNS[table]:
            if not _is_same(column, were[row_id].get(column), are[row_id].get(column)):
                return f"{name}: {column} is not what was written"
    return None


def _by_id(table: str, text: str) -> dict[str, dict[str, str]]:
    """Return the rows of *text* by id, each as column to field."""
    columns = COLUMNS[table]
    fields = [row.split(_FIELD, len(columns) - 1) for row in text.split(_ROW) if row]
    return {row[0]: dict(zip(columns, row, strict=False)) for row in fields}


def _is_same(column: str, was: str | None, now: str | None) -> bool:
    if was == now or was is None or now is None:
        return was == now
    return column in _NUMBERS and Decimal(was) == Decimal(now)
