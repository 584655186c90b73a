"""The outbox's rows: written with their command, deleted with a later batch."""

from collections.abc import Sequence
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
    """Ids of rows whose events the broker has; they wait here to be deleted.

    Deleting rides on the next batch's transaction, so it costs no commit of its own. A crash
    before it costs a second copy of an event, with the same id.
    """

    def __init__(self) -> None:
        """Begin with nothing to delete."""
        self._waiting: list[int] = []
        self._in_transaction = 0

    def __len__(self) -> int:
        """Return how many rows wait to be deleted."""
        return len(self._waiting)

    def add(self, row_ids: Sequence[int]) -> None:
        """Remember that the broker has the events of these rows."""
        self._waiting.extend(row_ids)

    def delete(self, tx: Transaction) -> None:
        """Let the deletion of what waits travel with *tx*."""
        self._in_transaction = len(self._waiting)
        if self._waiting:
            tx.later("delete_outbox", ids=array(self._waiting))

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
