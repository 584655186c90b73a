"""Publishing what the outbox holds: the message of a row, and the rows that a crash left behind."""

import time
from collections.abc import Callable, Sequence
from typing import Final

from orderd.amqp.faults import Unpublishable
from orderd.amqp.message import OutgoingMessage, Properties
from orderd.amqp.publisher import Publisher
from orderd.db.arrays import array
from orderd.db.connection import Database
from orderd.logs.logger import LogEvent, emit
from orderd.pipeline.outbox.deletion import Deletion
from orderd.pipeline.outbox.event_counts import EventCounts
from orderd.pipeline.outbox.frozen_sessions import FrozenSessions
from orderd.pipeline.outbox.leftovers import Leftovers
from orderd.pipeline.outbox.rows import Confirmed, OutboxRow
from orderd.pipeline.outbox.split import apart
from orderd.protocol.cloud_events import CONTENT_TYPE
from orderd.protocol.names import EVENTS_EXCHANGE
from orderd.runtime.crash_points import reach

# Rows whose events are confirmed are deleted many at a time, long before others send them again.
GATHER_S_MAX: Final = 1.0
GATHERINGS_PER_GRACE: Final = 5
_PERSISTENT: Final = 2
_TOLD_EVERY_S: Final = 10.0


def event_message(row: OutboxRow) -> OutgoingMessage:
    """Return the message of an event; it needs no listener, so it is not mandatory."""
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

    def __init__(
        self, database: Database, publisher: Publisher, confirmed: Confirmed, counts: EventCounts
    ) -> None:
        """Work for the rows of *database*; *confirmed* is shared with the batches."""
        self._counts = counts
        self._database = database
        self._publisher = publisher
        self._confirmed = confirmed
        self._deletion = Deletion(database, confirmed)
        self._leftovers = Leftovers(database)
        self._frozen = FrozenSessions(database)
        self._refused = 0
        self._told_s = float("-inf")

    def gather_s(self, grace_s: float) -> float:
        """Return for how long confirmed rows may gather: well within *grace_s*."""
        return min(GATHER_S_MAX, grace_s / GATHERINGS_PER_GRACE)

    def wait_s(self, longest_s: float, grace_s: float) -> float:
        """Return how long an idle loop may wait until rows have gathered, *longest_s* at most."""
        return min(longest_s, self._confirmed.due_in_s(self.gather_s(grace_s)))

    def delete_confirmed(self, grace_s: float) -> None:
        """Delete the rows that have gathered, all where *grace_s* is 0; to be called often.

        A row that cannot be deleted is kept, and no fault of its own. Raises `DatabaseOutage`.
        """
        self._deletion.run(self.gather_s(grace_s))

    def mark(self) -> None:
        """Note on rows that their events were refused, so that they are sent again ever later."""
        if not self._confirmed.has_marks:
            return
        delays_s: list[float] = []
        for why, ids in self._confirmed.refused.items():
            delays_s += self._mark("refuse_outbox", ids, why)
        set_aside = self._confirmed.set_aside_because
        for row_id, why in set_aside.items():
            self._mark("set_aside_outbox", [row_id], why)
            text = f"AMQP cannot carry the event in row {row_id} of the outbox: {why}; set aside"
            emit(LogEvent.OUTBOX_SET_ASIDE, text)
        self._refused += len(delays_s)
        if delays_s and time.monotonic() - self._told_s >= _TOLD_EVERY_S:
            reasons = "; ".join(self._confirmed.refused)
            text = f"{EVENTS_EXCHANGE} refused {self._refused} events ({reasons})"
            emit(LogEvent.OUTBOX_REFUSED, f"{text}; sent again in {min(delays_s):g} s or later")
            self._told_s, self._refused = time.monotonic(), 0
        self._confirmed.forget_marks()

    def sweep(self, grace_s: float, on_slice: Callable[[], None]) -> int:
        """Publish rows unclaimed for *grace_s* seconds; return how many were confirmed.

        Several daemons may sweep at once: each claims rows of its own. Not to be called while own
        events are on their way. Raises `DatabaseOutage` and `BrokerFault`.
        """
        self.delete_confirmed(0.0)
        self._frozen.end()
        claimed = self._leftovers.claim(grace_s)
        reach("outbox_claimed")
        rows = [row for row in claimed if not self._is_sent(row)]
        if len(rows) < len(claimed):
            self._deletion.hasten()
        if not rows:
            return 0
        able = [row for row in rows if self._is_able(row)]
        confirms = self._publisher.publish([event_message(row) for row in able])
        self._publisher.wait_out(confirms, self._publisher.patience.seconds, on_slice)
        for index, why in confirms.failed.items():
            self._confirmed.refuse(able[index].id, why)
            self._counts.refused[able[index].type] += 1
        taken = [row for index, row in enumerate(able) if index not in confirms.failed]
        self._confirmed.add((row.id, row.message_id) for row in taken)
        self._counts.published.update(row.type for row in taken)
        self.delete_confirmed(0.0)
        self.mark()
        return len(taken)

    def _mark(self, name: str, ids: Sequence[int], why: str) -> list[float]:
        """Mark rows; return the delays in seconds. One that cannot be marked is swept again."""
        delays_s: list[float] = []

        def mark(part: Sequence[int]) -> None:
            with self._database.transaction() as tx:
                tx.later("bound_housekeeping")
                rows = tx.rows(name, ids=array(part), reason=why)
            delays_s.extend(row[0] for row in rows)

        apart(ids, mark)
        return delays_s

    def _is_sent(self, row: OutboxRow) -> bool:
        return self._deletion.is_sent((row.id, row.message_id))

    def _is_able(self, row: OutboxRow) -> bool:
        """Return whether AMQP can carry the event; one that it cannot is set aside."""
        try:
            self._publisher.check(event_message(row))
        except Unpublishable as fault:
            self._confirmed.set_aside(row.id, str(fault))
            return False
        return True
