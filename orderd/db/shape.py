"""The columns that orderd relies on, and how those that are there differ from them.

Another type is a difference only where it cannot give back each value that orderd may write.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from orderd.db.transaction import Transaction
from orderd.protocol.values import value
from orderd.shop.registry import SHOP
from orderd.shop.tables import Column, Kind

_MODIFIER: Final = re.compile(r"\(([-\d]+)(?:,([-\d]+))?\)")
_WITH_IDS: Final = SHOP.tables_with_ids
_TABLES: Final = tuple(entity.table for entity in SHOP.entities)

_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(_WITH_IDS, ("id",)),
    **{table.name: ("id", *table.unique) for table in SHOP.lock_order},
    "processed_requests": ("id",),
    "message_tries": ("key",),
    "deferrals": ("key",),
    "queue_pauses": ("queue",),
    "daemons": ("id",),
}
_COLUMNS: Final = (
    *((table.name, column) for table in _TABLES for column in table.columns),
    *((each.name, column) for each in SHOP.lines for column in (each.parent, *each.columns)),
)
_REFERENCES: Final = tuple(
    (table, column.name, column.refers_to) for table, column in _COLUMNS if column.refers_to
)
_CHECKS: Final = (
    *((table, column.name) for table, column in _COLUMNS if column.has_check),
    ("processed_requests", "outcome"),
)

# What is told of a type, without its modifiers, and these.
_Fits = Callable[[str, tuple[int, ...]], bool]


@value
class FoundColumn:
    """A column as the database has it; the default is *now*, *any* or *none*."""

    type: str
    is_not_null: bool
    default: str
    is_always_generated: bool
    is_identity: bool


@value
class _Wanted:
    """What a column has to be like: `made_by` says what orderd writes there, itself or not at all.

    Of a column that it does not write, the value comes from a default: *now* for the times that
    replies tell, else *any*.
    """

    kind: str
    fits: _Fits
    made_by: str = "orderd"
    is_null_written: bool = False


def _whole(digits: int) -> _Fits:
    """Return what tells whether whole numbers of so many digits fit into a type."""

    def fits(name: str, modifiers: tuple[int, ...]) -> bool:
        if name == "numeric":
            precision, scale = (*modifiers, 0)[:2] if modifiers else (digits, 0)
            return scale == 0 and precision >= digits
        return name == "bigint" or (name == "integer" and digits <= _INTEGER_DIGITS)

    return fits


def _money(digits: int) -> _Fits:
    """Return what tells whether amounts of so many digits before the point, and two behind, fit."""

    def fits(name: str, modifiers: tuple[int, ...]) -> bool:
        precision, scale = (*modifiers, 0)[:2] if modifiers else (digits + 2, 2)
        return name == "numeric" and scale >= _CENTS and precision - scale >= digits

    return fits


def _text(characters: int) -> _Fits:
    """Return what tells whether texts of so many characters fit into a type unchanged."""

    def fits(name: str, modifiers: tuple[int, ...]) -> bool:
        is_long = not modifiers or modifiers[0] >= characters
        return name in {"text", "citext", "character varying"} and is_long

    return fits


def _exactly(*names: str) -> _Fits:
    """Return what tells whether a type is one of these, with no modifier that takes from it."""
    return lambda name, modifiers: name in names and (not modifiers or modifiers[0] >= _MICROSECOND)


# An integer holds every whole number of nine digits, and 10^9.
_INTEGER_DIGITS: Final = 10
_CENTS: Final = 2
_MICROSECOND: Final = 6
_LONG: Final = 10_000

# Ids and revisions begin at 1 and may well be kept in an integer for years.
_ID: Final = _Wanted("bigint", _whole(_INTEGER_DIGITS))
_COUNT: Final = _Wanted("bigint", _whole(_INTEGER_DIGITS))
_PRICE: Final = _Wanted("numeric(12,2)", _money(10))
_TOTAL: Final = _Wanted("numeric(24,2)", _money(18))
_NAME: Final = _Wanted("text", _text(200))
_WORD: Final = _Wanted("text", _text(10))
_TEXT: Final = _Wanted("text", _text(_LONG))
_BOOLEAN: Final = _Wanted("boolean", _exactly("boolean"))
_TIME: Final = _Wanted(
    "timestamp with time zone", _exactly("timestamp with time zone"), made_by="now"
)
# Of these, fractions of a second may be lost.
_LEASE: Final = _Wanted(
    "timestamp with time zone", lambda name, _: name == "timestamp with time zone", made_by="any"
)


def _or_null(wanted: _Wanted) -> _Wanted:
    return _Wanted(wanted.kind, wanted.fits, wanted.made_by, is_null_written=True)


_ROW: Final = {"id": _ID, "created_at": _TIME, "updated_at": _TIME, "revision": _COUNT}
_OF_KIND: Final = {
    Kind.ID: _ID,
    Kind.COUNT: _COUNT,
    Kind.PRICE: _PRICE,
    Kind.TOTAL: _TOTAL,
    Kind.NAME: _NAME,
    Kind.WORD: _WORD,
    Kind.BOOLEAN: _BOOLEAN,
}


def _own(columns: Iterable[Column]) -> dict[str, _Wanted]:
    return {
        c.name: _or_null(_OF_KIND[c.kind]) if c.may_be_null else _OF_KIND[c.kind] for c in columns
    }


WANTED: Final[Mapping[str, Mapping[str, _Wanted]]] = {
    **{table.name: _ROW | _own(table.columns) for table in _TABLES},
    **{each.name: {"id": _ID} | _own((each.parent, *each.columns)) for each in SHOP.lines},
    "processed_requests": {
        "id": _Wanted("text", _text(255)),
        "queue": _WORD,
        "action": _Wanted("text", _text(30)),
        "outcome": _WORD,
        "code": _or_null(_Wanted("text", _text(30))),
        "actor": _or_null(_Wanted("text", _text(255))),
        "response": _Wanted("jsonb", _exactly("jsonb")),
        "fingerprint": _Wanted("text", _text(64)),
        "created_at": _LEASE,
    },
    "outbox": {
        "id": _ID,
        "message_id": _Wanted("uuid", _exactly("uuid")),
        "type": _Wanted("text", _text(30)),
        "body": _TEXT,
        "created_at": _LEASE,
        "claimed_at": _LEASE,
        "refusals": _Wanted("integer", _whole(1), made_by="any"),
        "not_before": _LEASE,
        "refused_because": _or_null(_TEXT),
    },
    "message_tries": {
        "key": _TEXT,
        "queue": _WORD,
        "tries": _Wanted("integer", _whole(1)),
        "is_committed": _Wanted("boolean", _exactly("boolean")),
        "tried_at": _LEASE,
    },
    "deferrals": {
        "key": _TEXT,
        "place": _Wanted("whole number", _whole(18), made_by="any"),
        "queue": _WORD,
        "row_id": _or_null(_Wanted("whole number", _whole(18))),
        "since": _LEASE,
        "ends_at": _Wanted("timestamptz", _exactly("timestamp with time zone")),
        "waits_since": _or_null(_LEASE),
        "waits_for": _or_null(_TEXT),
        "tried_at": _LEASE,
    },
    "queue_pauses": {
        "queue": _WORD,
        "reason": _TEXT,
        "paused_by": _TEXT,
        "since": _LEASE,
        "ends_at": _or_null(_LEASE),
        "tripped_by": _or_null(_Wanted("text", _text(30))),
        "tried_at": _LEASE,
        "is_announced": _Wanted("boolean", _exactly("boolean"), made_by="any"),
    },
    "daemons": {
        "id": _Wanted("uuid", _exactly("uuid")),
        "instance": _Wanted("text", _text(64)),
        "host": _TEXT,
        "pid": _COUNT,
        "version": _WORD,
        "state": _WORD,
        "since": _Wanted("timestamptz", _exactly("timestamp with time zone")),
        "paused_queues": _TEXT,
        "messages_per_s": _Wanted("double precision", _exactly("double precision")),
        "in_hand": _COUNT,
        "last_commit_at": _or_null(_LEASE),
        "seen_at": _LEASE,
    },
}
TABLES: Final = tuple(WANTED)


def differences(tx: Transaction) -> list[str]:
    """Return why rows of the tables could not be written, or would come back as others."""
    found: dict[str, dict[str, FoundColumn]] = {name: {} for name in TABLES}
    for table, column, *described in tx.rows("describe_columns", tables=list(TABLES)):
        found[table][column] = FoundColumn(*described)
    said: list[str] = []
    for table, columns in found.items():
        said += _of_table(table, columns) if columns else [f"table {table} is missing"]
    for table, sequence in tx.rows("sequences_of_ids", tables=list(_WITH_IDS)):
        if sequence is None:
            said.append(
                f"column {table}.id has no sequence of its own: make it an identity column, "
                f"or its sequence OWNED BY {table}.id"
            )
    return said


def weakened(tx: Transaction) -> list[str]:
    """Return which indexes and constraints are gone that orderd relies on; it can work on."""
    return [*_missing_keys(tx), *_missing_references(tx), *_missing_checks(tx)]


def _missing_keys(tx: Transaction) -> list[str]:
    keys = [(table, column) for table, columns in _KEYS.items() for column in columns]
    tables, columns = zip(*keys, strict=True)
    return [
        f"column {table}.{column} has no unique index: two daemons may write the same value twice"
        for table, column in tx.rows("missing_keys", tables=list(tables), columns=list(columns))
    ]


def _missing_references(tx: Transaction) -> list[str]:
    tables, columns, others = zip(*_REFERENCES, strict=True)
    found = tx.rows(
        "missing_references", tables=list(tables), columns=list(columns), others=list(others)
    )
    return [
        f"column {table}.{column} has no foreign key to {other}: "
        f"others may delete a row of {other} that it names"
        for table, column, other in found
    ]


def _missing_checks(tx: Transaction) -> list[str]:
    tables, columns = zip(*_CHECKS, strict=True)
    said = [
        f"column {table}.{column} has no CHECK: other programs can write values that orderd rejects"
        for table, column in tx.rows("missing_checks", tables=list(tables), columns=list(columns))
    ]
    return said + [
        f"table {table} has no constraint {table}_can_be_told: "
        "other programs can write values that no reply can represent"
        for (table,) in tx.rows("missing_limits", tables=list(SHOP.table_names))
    ]


def _of_table(table: str, columns: Mapping[str, FoundColumn]) -> Iterator[str]:
    wanted = WANTED[table]
    for name, want in wanted.items():
        column = columns.get(name)
        because = "is missing" if column is None else _difference(want, column)
        if because is not None:
            yield f"column {table}.{name} {because}"
    for name in columns.keys() - wanted.keys():
        column = columns[name]
        is_filled = column.default != "none" or column.is_identity or column.is_always_generated
        if column.is_not_null and not is_filled:
            yield f"column {table}.{name} is not orderd's, takes no null and has no default"


def _difference(want: _Wanted, column: FoundColumn) -> str | None:
    """Return what is wrong with the column, None where it will do."""
    modifiers = _MODIFIER.search(column.type)
    numbers = tuple(int(n) for n in modifiers.groups() if n is not None) if modifiers else ()
    # An extension's type is told with its schema where that is not in search_path.
    name = _MODIFIER.sub("", column.type).rpartition(".")[2]
    if not want.fits(name, numbers):
        return f"is {column.type}, which does not hold every value of {want.kind}"
    if column.is_always_generated and want.made_by == "orderd":
        return "is always generated, and orderd could not write it"
    if want.is_null_written and column.is_not_null:
        return "takes no null, and orderd writes null there"
    if want.made_by == "now" and column.default != "now":
        return "does not have the default now()"
    is_filled = column.default != "none" or column.is_identity or column.is_always_generated
    if want.made_by == "any" and column.is_not_null and not is_filled:
        return "has no default and takes no null"
    return None
