"""Whether the tables hold what a batch has written, looked at before it is committed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, TypeVar

from orderd.db.arrays import array
from orderd.db.transaction import Transaction
from orderd.pipeline.outbox.rows import OutboxRow
from orderd.protocol.rows import Order, OrderItem, Product, Row, User
from orderd.shop.decide import Decision
from orderd.shop.outcomes import Refused
from orderd.shop.world import Table, World

R = TypeVar("R", User, Product, Order)
# A row's id and its fields, as the table's query writes them.
_Line = tuple[Any, str]

_FIELD: Final = "\x1f"
_ROW: Final = "\x1e"
_LEDGER: Final = "processed_requests"
# The fields of each table, in the order of its query.
_COLUMNS: Final[Mapping[str, Sequence[str]]] = {
    Table.USERS: (
        *("id", "is_active", "revision", "created_at", "updated_at"),
        *("username", "email", "full_name"),
    ),
    Table.PRODUCTS: (
        *("id", "price", "stock_quantity", "revision", "created_at", "updated_at", "name"),
    ),
    Table.ORDERS: (
        *("id", "user_id", "status", "priority", "total_amount", "revision"),
        *("created_at", "updated_at"),
    ),
    Table.ORDER_ITEMS: ("id", "order_id", "product_id", "quantity", "unit_price"),
    Table.OUTBOX: ("id", "message_id", "type", "body"),
    _LEDGER: ("id", "queue", "action", "outcome", "fingerprint", "code"),
}
_NUMBERS: Final = frozenset({"price", "total_amount", "unit_price"})


class WrittenDiffers(Exception):
    """A table does not hold what was written to it: somebody's trigger, rule or row security."""


@dataclass(frozen=True, slots=True)
class _Part:
    """What one table is to hold: these *lines*, each with its id, and no others of these *ids*."""

    table: str
    ids: object
    lines: Sequence[_Line]

    def text(self) -> str:
        """Return the lines as the table's query does."""
        return _ROW.join([line for _, line in sorted(self.lines)])


def check_written(
    tx: Transaction, world: World, decisions: Iterable[Decision], events: Sequence[OutboxRow]
) -> None:
    """Send what *tx* has to write, and compare what the tables hold with what was decided.

    Replies, events and the ledger say what was decided. Raises `WrittenDiffers` where one of them
    would say what is not so. Nothing is sent where nothing was to be written.
    """
    parts = _parts(world, decisions, events)
    if not parts:
        return
    held = dict(tx.union({f"written_{part.table}": {"ids": part.ids} for part in parts}))
    for part in parts:
        expected, found = part.text(), held[part.table] or ""
        difference = None if expected == found else _difference(part.table, expected, found)
        if difference is not None:
            acting = ", ".join(row[0] for row in tx.rows("name_obstacles", table=part.table))
            raise WrittenDiffers(f"{difference}; acting on the table: {acting or 'nothing known'}")


def _parts(world: World, decisions: Iterable[Decision], events: Sequence[OutboxRow]) -> list[_Part]:
    """Return what each table is to hold, of those that were written to."""
    now = world.now
    orders = _written(world, world.orders)
    order_ids = array([order.id for order in orders])
    ledger = [_request(decision) for decision in decisions if decision.is_recorded]
    parts = (
        _Part(_LEDGER, [line[0] for line in ledger], ledger),
        _part(Table.USERS, [_user(row, now) for row in _written(world, world.users)]),
        _part(Table.PRODUCTS, [_product(row, now) for row in _written(world, world.products)]),
        _part(Table.ORDERS, [_order(row, now) for row in orders]),
        _Part(Table.ORDER_ITEMS, order_ids, [_item(row, i) for row in orders for i in row.items]),
        _part(Table.OUTBOX, [_event(row) for row in events]),
    )
    return [part for part in parts if part.lines or (part.table == Table.ORDER_ITEMS and orders)]


def _written(world: World, rows: Mapping[int, R]) -> list[R]:
    return world.new_rows(rows) + [now for _, now in world.changed_rows(rows)]


def _part(table: str, lines: Sequence[_Line]) -> _Part:
    return _Part(table, array([row_id for row_id, _ in lines]), lines)


# By hand, as this stands on the hot path; \x1f is the separator of fields.


def _user(row: User, now: datetime) -> _Line:
    full_name = "" if row.full_name is None else f"\x1f{row.full_name}"
    return row.id, (
        f"{row.id}\x1f{_truth(row.is_active)}\x1f{row.revision}\x1f{_times(row, now)}"
        f"\x1f{row.username}\x1f{row.email}{full_name}"
    )


def _product(row: Product, now: datetime) -> _Line:
    return row.id, (
        f"{row.id}\x1f{row.price}\x1f{row.stock_quantity}\x1f{row.revision}"
        f"\x1f{_times(row, now)}\x1f{row.name}"
    )


def _order(row: Order, now: datetime) -> _Line:
    return row.id, (
        f"{row.id}\x1f{row.user_id}\x1f{row.status}\x1f{row.priority}\x1f{row.total_amount}"
        f"\x1f{row.revision}\x1f{_times(row, now)}"
    )


def _item(order: Order, row: OrderItem) -> _Line:
    line = f"{row.id}\x1f{order.id}\x1f{row.product_id}\x1f{row.quantity}\x1f{row.unit_price}"
    return row.id, line


def _event(row: OutboxRow) -> _Line:
    return row.id, f"{row.id}\x1f{row.message_id}\x1f{row.type}\x1f{len(row.body)}"


def _request(decision: Decision) -> _Line:
    command, outcome = decision.command, decision.outcome
    ending = f"applied\x1f{command.fingerprint}"
    if isinstance(outcome, Refused):
        ending = f"refused\x1f{command.fingerprint}\x1f{outcome.code}"
    request_id = command.request_id
    return request_id, f"{request_id}\x1f{command.queue}\x1f{command.action}\x1f{ending}"


def _times(row: Row, now: datetime) -> str:
    return f"{_truth(row.created_at == now)}\x1f{_truth(row.updated_at == now)}"


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
            return f"{name}: is not there after it was written"
        if row_id not in were:
            return f"{name}: is there, and was not written or was deleted"
        for column in _COLUMNS[table]:
            if not _is_same(column, were[row_id].get(column), are[row_id].get(column)):
                return f"{name}: {column} is not what was written"
    return None


def _by_id(table: str, text: str) -> dict[str, dict[str, str]]:
    """Return the rows of *text* by id, each as column to field."""
    columns = _COLUMNS[table]
    fields = [row.split(_FIELD, len(columns) - 1) for row in text.split(_ROW) if row]
    return {row[0]: dict(zip(columns, row, strict=False)) for row in fields}


def _is_same(column: str, was: str | None, now: str | None) -> bool:
    if was == now or was is None or now is None:
        return was == now
    return column in _NUMBERS and Decimal(was) == Decimal(now)
