"""Which dead letters would undo a later change, were they replayed now."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from orderd.ctl.dlq.dead_letters import DeadLetter
from orderd.db.transaction import Transaction
from orderd.protocol.rows import rfc3339

_ID_MAX: Final = 2**63 - 1

_Row = tuple[str, int]


def changed_since(tx: Transaction, dead_letters: Sequence[DeadLetter]) -> dict[DeadLetter, str]:
    """Return those of *dead_letters* whose row was changed after their rejection, with when."""
    rows = {dead_letter: _row_of(dead_letter) for dead_letter in dead_letters}
    moments = _last_changes(tx, {row for row in rows.values() if row is not None})
    found = {}
    for dead_letter, row in rows.items():
        moment = None if row is None else moments.get(row)
        if row is not None and moment is not None and _is_later(moment, dead_letter.failed_at):
            found[dead_letter] = f"{row[0]} {row[1]} was changed after it, at {rfc3339(moment)}"
    return found


def _last_changes(tx: Transaction, rows: set[_Row]) -> dict[_Row, datetime]:
    """Return when each of *rows* that is there was last changed."""
    # The models behind them take longer to load than all the rest.
    from orderd.pipeline.load import rows_by_id  # noqa: PLC0415
    from orderd.shop.registry import SHOP  # noqa: PLC0415

    moments: dict[_Row, datetime] = {}
    for queue, entity in SHOP.by_queue.items():
        ids = sorted(row_id for named, row_id in rows if named == queue)
        if ids:
            found = rows_by_id(tx, entity.table, ids)
            moments |= {(queue, row.id): row.updated_at for row in found}
    return moments


def _is_later(moment: datetime, failed_at: datetime | None) -> bool:
    return failed_at is not None and moment > failed_at


def _row_of(dead_letter: DeadLetter) -> _Row | None:
    """Return queue and id of the row that the request would set to other values.

    What adds to what is there is as good later as before.
    """
    from orderd.shop.registry import SHOP  # noqa: PLC0415

    data = dead_letter.request.get("data") if isinstance(dead_letter.request, dict) else None
    field = SHOP.set_by(dead_letter.origin, dead_letter.action)
    if field is None or not isinstance(data, dict):
        return None
    row_id = data.get(field)
    return (dead_letter.origin, row_id) if type(row_id) is int and 0 < row_id <= _ID_MAX else None
