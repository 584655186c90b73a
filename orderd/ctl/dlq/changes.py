"""Which dead letters would undo a later change, were they replayed now."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from orderd.ctl.dlq.dead_letters import DeadLetter
from orderd.db.arrays import array
from orderd.db.transaction import Transaction
from orderd.protocol.names import Queue
from orderd.protocol.rows import rfc3339

# Actions that set what is there to another value. What adds to it is as good later as before.
_SETTING: Final = frozenset({"update", "update_status", "mark_out_of_stock"})
_ID_MAX: Final = 2**63 - 1

_Row = tuple[str, int]


def changed_since(tx: Transaction, letters: Sequence[DeadLetter]) -> dict[DeadLetter, str]:
    """Return those of *letters* whose row was changed after they were given up, each with when."""
    rows = {letter: _row_of(letter) for letter in letters}
    ids = {
        queue: array(sorted({row[1] for row in rows.values() if row and row[0] == queue}))
        for queue in Queue
    }
    if not any(rows.values()):
        return {}
    moments: dict[_Row, datetime] = {
        (queue, row_id): moment
        for queue, row_id, moment in tx.rows(
            "last_changes",
            users=ids[Queue.USER],
            products=ids[Queue.PRODUCT],
            orders=ids[Queue.ORDER],
        )
    }
    found = {}
    for letter, row in rows.items():
        moment = None if row is None else moments.get(row)
        if row is not None and moment is not None and _is_later(moment, letter.failed_at):
            found[letter] = f"{row[0]} {row[1]} was changed after it, at {rfc3339(moment)}"
    return found


def _is_later(moment: datetime, failed_at: datetime | None) -> bool:
    return failed_at is not None and moment > failed_at


def _row_of(letter: DeadLetter) -> _Row | None:
    """Return queue and id of the row that the request would set to other values."""
    data = letter.request.get("data") if isinstance(letter.request, dict) else None
    if letter.action not in _SETTING or not isinstance(data, dict):
        return None
    row_id = data.get("order_id" if letter.origin == Queue.ORDER else "id")
    return (letter.origin, row_id) if type(row_id) is int and 0 < row_id <= _ID_MAX else None
