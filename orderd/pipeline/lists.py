"""Answers of bounded size: pages of rows, and rows that may be too large for a reply."""

from collections.abc import Iterator
from typing import Any, Final

from orderd.db.transaction import Transaction
from orderd.pipeline.load import read_rows
from orderd.protocol.commands import List
from orderd.protocol.envelope import Command
from orderd.protocol.names import UnavailableCode
from orderd.protocol.rows import Row
from orderd.shop.decide import Decision, response_to
from orderd.shop.outcomes import Answered, Unavailable
from orderd.shop.registry import SHOP
from orderd.shop.tables import Table
from orderd.shop.unreadable import flaw_of

COUNTED_MAX: Final = 10_000
# So many rows are read in one statement: each order has the items of its total, and few rows are
# in memory.
_PIECE_ROWS: Final = 50
# What a reply has besides its data: a correlation id of 255 characters, each written out as six
# bytes, is most of that.
_ENVELOPE_BYTES: Final = 2_048


def answer_list(
    tx: Transaction, command: Command, content: List, reply_bytes_max: int
) -> Answered | Unavailable:
    """Return the page that *content* asks for: its items, the next page's `after`, the total.

    The page ends before its reply is larger than *reply_bytes_max*. Rows with a value that cannot
    be told are left out, and named beside the items.
    """
    table = SHOP.by_queue[command.queue].table
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
    total = rows if is_all else _count(tx, table, content)
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
    name = f"{command.queue.capitalize()} {command.content.row_id or 0}"
    excess = _too_large(name, answer.data, reply_bytes_max)
    return Decision(command, excess, response_to(excess))


def _too_large(name: str, row: str, reply_bytes_max: int) -> Unavailable:
    room = f"a reply has room for {reply_bytes_max - _ENVELOPE_BYTES}"
    return Unavailable(
        UnavailableCode.REPLY_TOO_LARGE,
        f"{name} does not fit into a reply: it has {len(row.encode())} bytes, and {room}",
    )


def _rows(tx: Transaction, table: Table[Any], content: List) -> Iterator[Row]:
    """Yield the rows of the page, by id, read piece by piece."""
    after, left = content.after or 0, content.limit
    filters = content.filters()
    while left:
        limit = min(left, _PIECE_ROWS)
        rows = read_rows(tx, table, f"list_{table.name}", after=after, limit=limit, **filters)
        yield from rows
        if len(rows) < limit:
            return
        after, left = rows[-1].id, left - limit


def _count(tx: Transaction, table: Table[Any], content: List) -> int | None:
    """Return how many rows the filters let through, None where they are too many to count."""
    (count,) = tx.row(f"count_{table.name}", rows_max=COUNTED_MAX + 1, **content.filters())
    return count if count <= COUNTED_MAX else None
