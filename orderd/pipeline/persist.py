"""Writing the net result of a batch: one statement a table, all in one round trip."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final

from orderd.db.arrays import array, lines, texts
from orderd.db.transaction import Transaction
from orderd.shop.decide import Decision
from orderd.shop.outcomes import Refused
from orderd.shop.registry import SHOP
from orderd.shop.tables import Column, Kind, Lines, Table
from orderd.shop.world import World

_Encoder = Callable[[Iterable[Any]], Any]
# Each kind of column with the form in which statements take it.
_ENCODERS: Final[Mapping[Kind, _Encoder]] = {
    Kind.ID: array,
    Kind.COUNT: array,
    Kind.PRICE: array,
    Kind.TOTAL: array,
    Kind.NAME: texts,
    Kind.WORD: lines,
    Kind.BOOLEAN: list,
}


def _encoders(columns: Iterable[Column]) -> dict[str, _Encoder]:
    return {column.name: _ENCODERS[column.kind] for column in columns}


def _changeable(columns: Iterable[Column]) -> dict[str, _Encoder]:
    return _encoders(column for column in columns if not column.is_fixed)


INSERTED: Final[Mapping[Table[Any], Mapping[str, _Encoder]]] = {
    table: {"id": array, **_encoders(table.columns), "revision": array}
    for table in SHOP.tables.values()
}
UPDATED: Final[Mapping[Table[Any], Mapping[str, _Encoder]]] = {
    table: {"id": array, **_changeable(table.columns), "revision": array}
    for table in SHOP.tables.values()
}
LINE_INSERTED: Final[Mapping[Lines, Mapping[str, _Encoder]]] = {
    each: {"id": array, **_encoders((each.parent, *each.columns))} for each in SHOP.lines
}
LINE_UPDATED: Final[Mapping[Lines, Mapping[str, _Encoder]]] = {
    each: {"id": array, **_changeable(each.columns)} for each in SHOP.lines
}
_LINE_VALUES: Final = {
    each: attrgetter(*(column.name for column in each.columns)) for each in SHOP.lines
}
_LEDGER: Final[Mapping[str, _Encoder]] = {
    "id": texts,
    "queue": lines,
    "action": lines,
    "outcome": lines,
    "code": lines,
    "actor": lines,
    "response": lines,
    "fingerprint": lines,
}


def persist(tx: Transaction, world: World, decisions: Iterable[Decision]) -> None:
    """Let the statements that write what *decisions* changed travel together."""
    # First, and by id: of two daemons with the same requests one waits here, holding nothing that
    # the other one is still to write.
    ledger = sorted(_ledger_row(decision) for decision in decisions if decision.is_recorded)
    _write_rows(tx, "insert_processed_requests", ledger, _LEDGER)
    for entity in SHOP.entities:
        table = entity.table
        new, changed = world.new_rows(table), world.changed_rows(table)
        _write(tx, f"insert_{table.name}", new, INSERTED[table])
        _write(tx, f"update_{table.name}", [now for _, now in changed], UPDATED[table])
        if table.lines is not None:
            _write_lines(tx, table.lines, new, changed)


def _write(
    tx: Transaction, name: str, rows: Sequence[object], columns: Mapping[str, _Encoder]
) -> None:
    """Let the statement *name* write *rows*, whose attributes are its *columns*."""
    if rows:
        tx.later(
            name,
            **{column: encode(map(attrgetter(column), rows)) for column, encode in columns.items()},
        )


def _write_lines(
    tx: Transaction, table: Lines, new: Sequence[Any], changed: Sequence[tuple[Any, Any]]
) -> None:
    values = _LINE_VALUES[table]
    inserted = [(line.id, row.id, *values(line)) for row in new for line in table.of(row)]
    updated: list[Any] = []
    deleted: list[int] = []
    for was, now in changed:
        before = {line.id: line for line in table.of(was)}
        for line in table.of(now):
            stored = before.pop(line.id, None)
            if stored is None:
                inserted.append((line.id, now.id, *values(line)))
            elif stored != line:
                updated.append(line)
        deleted.extend(before)
    _write_rows(tx, f"insert_{table.name}", inserted, LINE_INSERTED[table])
    _write(tx, f"update_{table.name}", updated, LINE_UPDATED[table])
    if deleted:
        tx.later(f"delete_{table.name}", id=array(deleted))


def _write_rows(
    tx: Transaction, name: str, rows: Sequence[tuple[Any, ...]], columns: Mapping[str, _Encoder]
) -> None:
    """Let the statement *name* write *rows*, whose members are its *columns* in their order."""
    if rows:
        by_column = zip(columns.items(), zip(*rows, strict=True), strict=True)
        tx.later(name, **{column: encode(values) for (column, encode), values in by_column})


def _ledger_row(decision: Decision) -> tuple[Any, ...]:
    command = decision.command
    refused = decision.outcome if isinstance(decision.outcome, Refused) else None
    return (
        command.request_id,
        command.queue,
        command.action,
        "applied" if refused is None else "refused",
        "" if refused is None else refused.code,
        command.actor or "",
        "null" if decision.response is None else decision.response.stored(),
        command.fingerprint,
    )
