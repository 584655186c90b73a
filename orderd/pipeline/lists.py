"""Answers of bounded size: pages of rows, and rows that may be too large for a reply."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from orderd.db.transaction import Transaction
from orderd.pipeline.load import read_orders
from orderd.protocol import commands
from orderd.protocol.names import UnavailableCode
from orderd.protocol.rows import Product, Row, User
from orderd.shop.decide import Decision, response_to
from orderd.shop.outcomes import Answered, Unavailable
from orderd.shop.unreadable import flaw_of

COUNTED_MAX: Final = 10_000
# So many rows are read in one statement: each order has the items of its total, and few rows are
# in memory.
_PIECE_ROWS: Final = 50
# What a reply has besides its data: a correlation id of 255 characters, each written out as six
# bytes, is most of that.
_ENVELOPE_BYTES: Final = 2_048


@dataclass(frozen=True, slots=True)
class _Table:
    """A table that can be listed: the queries that read and count it, and their filters."""

    read: str
    count: str
    rows_of: Callable[..., list[Row]]
    filters: Mapping[str, object]


def answer_list(
    tx: Transaction, content: commands.List, reply_bytes_max: int
) -> Answered | Unavailable:
    """Return the page that *content* asks for: its items, the next page's `after`, the total.

    The page ends before its reply is larger than *reply_bytes_max*. Rows with a value that cannot
    be told are left out, and named beside the items.
    """
    table = _table_of(content)
    room_bytes = reply_bytes_max - _ENVELOPE_BYTES
    items: list[str] = []
    unreadable: list[int] = []
    last_id, is_cut = 0, False
    for row in _rows(tx, table, content):
        if flaw_of(row) is not None:
            unreadable.append(row.id)
            last_id = row.id
            continue
        item = row.json()
        room_bytes -= len(item.encode()) + 1
        is_cut = room_bytes < 0
        if is_cut:
            break
        items.append(item)
        last_id = row.id
    if is_cut and not items and not unreadable:
        return _too_large(f"{type(row).__name__} {row.id}", item, reply_bytes_max)
    rows = len(items) + len(unreadable)
    # A full page may be the last one; the page after it is then empty.
    following = last_id if is_cut or rows == content.limit else None
    is_all = following is None and not content.after
    total = rows if is_all else _count(tx, table)
    shown = ["null" if number is None else number for number in (following, total)]
    beside = f',"unreadable":[{",".join(map(str, unreadable))}]' if unreadable else ""
    page = f'{{"items":[{",".join(items)}],"next":{shown[0]},"total":{shown[1]}{beside}}}'
    return Answered(page)


def bounded(decision: Decision, reply_bytes_max: int) -> Decision:
    """Return *decision*; where the row that it answers with is too large, that this is so."""
    command, answer = decision.command, decision.outcome
    if not isinstance(answer, Answered):
        return decision
    if len(answer.data.encode()) <= reply_bytes_max - _ENVELOPE_BYTES:
        return decision
    content = command.content
    row_id = getattr(content, "id", 0) or getattr(content, "order_id", 0)
    excess = _too_large(f"{command.queue.capitalize()} {row_id}", answer.data, reply_bytes_max)
    return Decision(command, excess, response_to(excess))


def _too_large(name: str, row: str, reply_bytes_max: int) -> Unavailable:
    room = f"a reply has room for {reply_bytes_max - _ENVELOPE_BYTES}"
    return Unavailable(
        UnavailableCode.REPLY_TOO_LARGE,
        f"{name} does not fit into a reply: it has {len(row.encode())} bytes, and {room}",
    )


def _table_of(content: commands.List) -> _Table:
    match content:
        case commands.UserList():
            return _Table("list_users", "count_users", _users, {})
        case commands.ProductList(in_stock=in_stock):
            wanted: dict[str, object] = {"in_stock": in_stock}
            return _Table("list_products", "count_products", _products, wanted)
        case commands.OrderList(status=status, user_id=user_id):
            wanted = {"status": status, "user_id": user_id}
            return _Table("list_orders", "count_orders", _orders, wanted)
    raise TypeError(f"{type(content).__name__} is not a list")


def _rows(tx: Transaction, table: _Table, content: commands.List) -> Iterator[Row]:
    """Yield the rows of the page, by id, read piece by piece."""
    after, left = content.after or 0, content.limit
    while left:
        limit = min(left, _PIECE_ROWS)
        rows = table.rows_of(tx, table.read, after=after, limit=limit, **table.filters)
        yield from rows
        if len(rows) < limit:
            return
        after, left = rows[-1].id, left - limit


def _count(tx: Transaction, table: _Table) -> int | None:
    """Return how many rows the filters let through, None where they are too many to count."""
    (count,) = tx.row(table.count, rows_max=COUNTED_MAX + 1, **table.filters)
    return count if count <= COUNTED_MAX else None


def _users(tx: Transaction, name: str, **wanted: object) -> list[Row]:
    return [User(*row) for row in tx.rows(name, **wanted)]


def _products(tx: Transaction, name: str, **wanted: object) -> list[Row]:
    return [Product(*row) for row in tx.rows(name, **wanted)]


def _orders(tx: Transaction, name: str, **wanted: object) -> list[Row]:
    return list(read_orders(tx, name, **wanted))
