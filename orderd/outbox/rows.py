"""The outbox's rows: written with their command, deleted with a later batch."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from orderd.db.arrays import array, lines
from orderd.db.transaction import Transaction


class OutboxRow(NamedTuple):
    """One event that is committed, or about to be; `message_id` is the CloudEvent's id too."""

    id: int
    message_id: str
    type: str
    body: str


class Confirmed:
    """What became of events: ids of rows that wait here to be deleted, or to be marked.

    Deleting rides on the next batch's transaction, so it costs no commit of its own. A crash
    before it costs a second copy of an event, with the same id. Rows that were refused, or that
    AMQP cannot carry, are marked with the reason in a transaction of their own.
    """

    def __init__(self) -> None:
        """Begin with nothing to delete or to mark."""
        self._waiting: list[tuple[int, str]] = []
        self._in_transaction = 0
        self._refused: dict[str, list[int]] = {}
        self._set_aside: dict[int, str] = {}

    def __len__(self) -> int:
        """Return how many rows wait to be deleted."""
        return len(self._waiting)

    def add(self, rows: Iterable[tuple[int, str]]) -> None:
        """Remember that the broker has the events of these rows, by id and message id.

        The id alone does not do: whoever empties the table may have the ids given once more.
        """
        self._waiting.extend(rows)

    def refuse(self, row_id: int, why: str) -> None:
        """Remember that the broker refused the event of this row."""
        self._refused.setdefault(why, []).append(row_id)

    def set_aside(self, row_id: int, why: str) -> None:
        """Remember that AMQP cannot carry the event of this row."""
        self._set_aside[row_id] = why

    @property
    def has_marks(self) -> bool:
        """Whether rows wait to be marked."""
        return bool(self._refused or self._set_aside)

    def mark(self, tx: Transaction) -> tuple[int, float]:
        """Mark what waits with *tx*; return how many were refused, and the shortest delay."""
        delays_s: list[float] = []
        for why, ids in self._refused.items():
            delays_s += [row[0] for row in tx.rows("refuse_outbox", ids=array(ids), reason=why)]
        for row_id, why in self._set_aside.items():
            tx.later("set_aside_outbox", id=row_id, reason=why)
        return len(delays_s), min(delays_s, default=0.0)

    def forget_marked(self) -> dict[int, str]:
        """Forget what the last `mark` wrote, once it is committed; return what was set aside."""
        set_aside, self._set_aside = self._set_aside, {}
        self._refused = {}
        return set_aside

    def delete(self, tx: Transaction) -> None:
        """Let the deletion of what waits travel with *tx*."""
        self._in_transaction = len(self._waiting)
        if self._waiting:
            ids, message_ids = zip(*self._waiting, strict=True)
            tx.later("delete_outbox", ids=array(ids), message_ids=array(message_ids))

    def forget_deleted(self) -> None:
        """Forget what the last `delete` took along; to be called once that is committed."""
        del self._waiting[: self._in_transaction]
        self._in_transaction = 0


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
