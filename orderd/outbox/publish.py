"""Publishing what the outbox holds: the message of a row, and the rows that a crash left behind."""

from collections.abc import Callable
from typing import Final

from orderd.amqp.message import OutgoingMessage, Properties
from orderd.amqp.publisher import Publisher
from orderd.contract.events import CONTENT_TYPE
from orderd.contract.names import EVENTS_EXCHANGE
from orderd.db.connection import Database
from orderd.ops.failpoints import reach
from orderd.outbox.rows import Confirmed, OutboxRow

CONFIRM_TIMEOUT_S: Final = 15.0
ROWS_MAX: Final = 500
_PERSISTENT: Final = 2


def event_message(row: OutboxRow) -> OutgoingMessage:
    """Return the message of an event; nobody has to listen, so it is not mandatory."""
    properties = Properties(
        content_type=CONTENT_TYPE,
        delivery_mode=_PERSISTENT,
        message_id=row.message_id,
        type=row.type,
        app_id="orderd",
    )
    return OutgoingMessage(
        EVENTS_EXCHANGE, row.type, row.body.encode(), properties, mandatory=False
    )


class Sweeper:
    """Publishes rows whose daemon did not live to do it, and deletes what is published."""

    def __init__(self, database: Database, publisher: Publisher, confirmed: Confirmed) -> None:
        """Work for the rows of *database*; *confirmed* is shared with the batches."""
        self._database = database
        self._publisher = publisher
        self._confirmed = confirmed

    def delete_confirmed(self) -> None:
        """Delete the rows that wait for it, in a transaction of their own; for idle times."""
        if len(self._confirmed):
            with self._database.transaction() as tx:
                self._confirmed.delete(tx)
            self._confirmed.forget_deleted()
            reach("outbox_marked")

    def sweep(self, grace_s: float, on_slice: Callable[[], None]) -> int:
        """Publish rows that nobody claimed for *grace_s* seconds; return how many were confirmed.

        Several daemons may sweep at once: each claims rows of its own. Not to be called while own
        events are on their way. Raises `DatabaseOutage` and `BrokerFault`.
        """
        with self._database.transaction() as tx:
            self._confirmed.delete(tx)
            rows = [
                OutboxRow(*row)
                for row in tx.rows("claim_outbox", grace_s=grace_s, rows_max=ROWS_MAX)
            ]
        self._confirmed.forget_deleted()
        reach("outbox_claimed")
        if not rows:
            return 0
        rows.sort()
        receipt = self._publisher.publish([event_message(row) for row in rows])
        self._publisher.wait_out(receipt, CONFIRM_TIMEOUT_S, on_slice)
        taken = [row.id for index, row in enumerate(rows) if index not in receipt.failed]
        self._confirmed.add(taken)
        self.delete_confirmed()
        return len(taken)
