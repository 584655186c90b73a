"""The outbox's rows: written with their command, deleted once the broker has their events."""

import time
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from orderd.db.arrays import array, lines
from orderd.db.transaction import Transaction

# A row by its id and its event's message id. The id alone does not do: who empties the table
# may have the ids given once more.
RowKey = tuple[int, str]

DELETE_ROWS_MAX: Final = 1_000


class OutboxRow(NamedTuple):
    """One event that is committed, or about to be; `message_id` is the CloudEvent's id too."""

    id: int
    message_id: str
    type: str
    body: str


class Confirmed:
    """What became of events: rows that wait here to be deleted, or to be marked.

    Rows gather to be deleted many at a time (`Deletion`), in a transaction of their own. A crash
    before it costs a second copy of an event, with the same id. Rows that were refused, or that
    AMQP cannot carry, are marked with the reason in a transaction of their own.
    """

    def __init__(self) -> None:
        """Begin with nothing to delete or to mark."""
        self._waiting: list[RowKey] = []
        self._since_s = 0.0
        # What is to be marked: ids of rows by the reason of their refusal, and reasons by ids.
        self.refused: dict[str, list[int]] = {}
        self.set_aside_because: dict[int, str] = {}

    def __len__(self) -> int:
        """Return how many rows wait to be deleted."""
        return len(self._waiting)

    def add(self, rows: Iterable[RowKey]) -> None:
        """Remember that the broker has the events of these rows, by id and message id."""
        if not self._waiting:
            self._since_s = time.monotonic()
        self._waiting.extend(rows)

    def due_in_s(self, gather_s: float) -> float:
        """Return in how many seconds rows are to be deleted, which may gather for *gather_s*."""
        if not self._waiting:
            return float("inf")
        if len(self._waiting) >= DELETE_ROWS_MAX:
            return 0.0
        return max(0.0, self._since_s + gather_s - time.monotonic())

    def oldest(self) -> list[RowKey]:
        """Return the rows to be deleted next, at most `DELETE_ROWS_MAX`; they stay here."""
        return self._waiting[:DELETE_ROWS_MAX]

    def forget(self, count: int) -> None:
        """Forget so many rows, the oldest: they are deleted, or kept elsewhere."""
        del self._waiting[:count]
        self._since_s = time.monotonic()

    def refuse(self, row_id: int, why: str) -> None:
        """Remember that the broker refused the event of this row."""
        self.refused.setdefault(why, []).append(row_id)

    def set_aside(self, row_id: int, why: str) -> None:
        """Remember that AMQP cannot carry the event of this row."""
        self.set_aside_because[row_id] = why

    @property
    def has_marks(self) -> bool:
        """Whether rows wait to be marked."""
        return bool(self.refused or self.set_aside_because)

    def forget_marks(self) -> None:
        """Forget the rows that waited to be marked."""
        self.refused, self.set_aside_because = {}, {}


def insert_rows(tx: Transaction, rows: Sequence[OutboxRow]) -> None:
    """Let the insertion of *rows* travel with *tx*."""
    if rows:
        ids, message_ids, types, bodies = zip(*rows, strict=True)
        tx.later(
            "insert_outbox",
            id=array(ids),
            message_id=array(message_ids),
            type=lines(types),
            body=lines(bodies),
        )
