"""Publishing what the outbox holds: the message of a row, and the rows that a crash left behind."""

import time
from collections.abc import Callable
from typing import Final

from orderd.amqp.faults import Unpublishable
from orderd.amqp.message import OutgoingMessage, Properties
from orderd.amqp.publisher import Publisher
from orderd.contract.events import CONTENT_TYPE
from orderd.contract.names import EVENTS_EXCHANGE
from orderd.db.connection import Database
from orderd.ops.failpoints import reach
from orderd.ops.logs import Event, emit
from orderd.outbox.rows import Confirmed, OutboxRow

CONFIRM_TIMEOUT_S: Final = 15.0
ROWS_MAX: Final = 500
_PERSISTENT: Final = 2
_TOLD_EVERY_S: Final = 10.0


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
        self._refused = 0
        self._told_s = float("-inf")

    def delete_confirmed(self) -> None:
        """Delete the rows that wait for it, in a transaction of their own; for idle times."""
        if len(self._confirmed):
            with self._database.transaction() as tx:
                self._confirmed.delete(tx)
            self._confirmed.forget_deleted()
            reach("outbox_marked")

    def mark(self) -> None:
        """Note on rows that their events were refused, so that they are sent again ever later."""
        if not self._confirmed.has_marks:
            return
        with self._database.transaction() as tx:
            refused, delay_s = self._confirmed.mark(tx)
        for row_id, why in self._confirmed.forget_marked().items():
            text = f"AMQP cannot carry the event in row {row_id} of the outbox: {why}; set aside"
            emit(Event.OUTBOX_SET_ASIDE, text)
        self._refused += refused
        if self._refused and time.monotonic() - self._told_s >= _TOLD_EVERY_S:
            text = f"a queue bound to {EVENTS_EXCHANGE} refused {self._refused} events"
            emit(Event.OUTBOX_REFUSED, f"{text}: sent again in {delay_s:g} s or later")
            self._told_s, self._refused = time.monotonic(), 0

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
        able = [row for row in sorted(rows) if self._is_able(row)]
        receipt = self._publisher.publish([event_message(row) for row in able])
        self._publisher.wait_out(receipt, CONFIRM_TIMEOUT_S, on_slice)
        for index, why in receipt.failed.items():
            self._confirmed.refuse(able[index].id, why)
        taken = [row for index, row in enumerate(able) if index not in receipt.failed]
        self._confirmed.add((row.id, row.message_id) for row in taken)
        self.delete_confirmed()
        self.mark()
        return len(taken)

    def _is_able(self, row: OutboxRow) -> bool:
        """Return whether AMQP can carry the event; one that it cannot is set aside."""
        try:
            self._publisher.check(event_message(row))
        except Unpublishable as fault:
            self._confirmed.set_aside(row.id, str(fault))
            return False
        return True
