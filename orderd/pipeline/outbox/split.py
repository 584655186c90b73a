"""Acts on many rows at once; rows that fail are split off from the rest."""

import time
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from orderd.db.faults import DatabaseOutage, RowFault, SchemaFault, TransactionConflict

Row = TypeVar("Row")

# So many attempts find two or three rows among a thousand; more is left to a later call.
FAULTS_MAX: Final = 24
FAULTS_S_MAX: Final = 1.0
# A full disk, an I/O error, a damaged page: what the server says of what it was asked to do.
_ANSWERED: Final = ("53", "58", "XX")


def apart(
    rows: Sequence[Row],
    act: Callable[[Sequence[Row]], None],
    *,
    give_up: tuple[type[Exception], ...] = (),
) -> dict[Row, str]:
    """Call *act*, a transaction, for all *rows*, or for ever smaller parts of them where it fails.

    Returns the rows that it failed for, with the reason; once it has failed too often or for too
    long, all rows that are left count as such. Raises `DatabaseOutage` where the server is away,
    and what is to *give_up*.
    """
    failed: dict[Row, str] = {}
    parts = [rows] if rows else []
    faults = 0
    until_s: float | None = None
    while parts:
        part = parts.pop()
        try:
            act(part)
        except (TransactionConflict, RowFault, SchemaFault, DatabaseOutage) as fault:
            is_away = isinstance(fault, DatabaseOutage) and not _is_answer(fault)
            if is_away or isinstance(fault, give_up):
                raise
            faults += 1
            until_s = until_s or time.monotonic() + FAULTS_S_MAX
            is_over = faults == FAULTS_MAX or time.monotonic() > until_s
            if is_over or len(part) == 1:
                failed |= dict.fromkeys(part, str(fault))
            if is_over:
                return failed | {row: str(fault) for rest in parts for row in rest}
            if len(part) > 1:
                middle = len(part) // 2
                parts += [part[middle:], part[:middle]]
    return failed


def _is_answer(fault: DatabaseOutage) -> bool:
    """Return whether the server is there, and only failed to do what it was asked to do."""
    sqlstate = getattr(fault.__cause__, "pgcode", None)
    return sqlstate is not None and sqlstate.startswith(_ANSWERED)
