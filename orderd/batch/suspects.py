"""Messages that were in hand at a crash: tried more and more carefully, then not at all.

That a message is redelivered means little, a clean stop does that too. So each further try is on
record before it begins, and off the record once the message is settled: the n-th try that would
be recorded without that is not made.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b

from orderd.amqp.message import Delivery
from orderd.batch.results import Result
from orderd.db.arrays import lines
from orderd.db.connection import Database
from orderd.db.faults import DatabaseOutage, LockedOut
from orderd.db.transaction import Transaction
from orderd.domain.outcomes import Abandoned, Quarantined


@dataclass(frozen=True, slots=True)
class _Record:
    tries: int
    is_committed: bool


@dataclass(frozen=True, slots=True)
class Condemned:
    """Deliveries that are not tried again, as results to be settled."""

    results: list[Result]


class Suspects:
    """Keeps the record of redelivered messages in the table ``message_tries``."""

    def __init__(self, database: Database) -> None:
        """Keep the record in *database*."""
        self._database = database
        self._settled: set[str] = set()
        # Recorded here and not settled: no crash, as long as this is remembered.
        self._in_hand: set[str] = set()

    def groups(
        self, deliveries: Sequence[Delivery], poison_after: int
    ) -> Iterator[list[Delivery] | Condemned]:
        """Yield *deliveries*, in their order, in groups that may be tried together.

        What has not been redelivered is one group and costs nothing. A first redelivery is tried
        in company, a further one alone. Their tries are on record when a group is yielded.
        """
        if not any(delivery.redelivered for delivery in deliveries):
            yield list(deliveries)
            return
        records = self._read(deliveries)
        company: list[Delivery] = []
        for delivery in deliveries:
            record = records.get(key_of(delivery), _Record(0, is_committed=False))
            if not delivery.redelivered or (record.tries == 0 and poison_after > 2):  # noqa: PLR2004 - with 2, the first redelivery is the last
                company.append(delivery)
                continue
            yield from self._recorded(company)
            company = []
            if record.tries + 1 >= poison_after:
                yield Condemned([_condemned(delivery, record)])
            else:
                yield from self._recorded([delivery])
        yield from self._recorded(company)

    def note_settled(self, deliveries: Sequence[Delivery]) -> None:
        """Take settled deliveries off the record, with the next `forget_settled`."""
        keys = {key_of(delivery) for delivery in deliveries if delivery.redelivered}
        self._settled |= keys
        self._in_hand -= keys

    def forget_settled(self) -> None:
        """Delete the records of what was settled since the last time."""
        if self._settled:
            with self._database.transaction() as tx:
                tx.later("delete_tries", keys=sorted(self._settled))
            self._settled.clear()

    def withdraw(self) -> None:
        """Take back the records of tries that ended without a settlement, but in no crash.

        To be called when deliveries go back to the broker, or an outage ended a try.
        """
        if self._in_hand:
            with self._database.transaction() as tx:
                tx.later("withdraw_tries", keys=sorted(self._in_hand))
            self._in_hand.clear()

    def _recorded(self, group: list[Delivery]) -> Iterator[list[Delivery]]:
        if group:
            # The record must be there before the try, or a crash would leave none.
            queues = dict(sorted((key_of(d), str(d.queue)) for d in group if d.redelivered))
            if queues:
                with self._tries() as tx:
                    tx.later("record_tries", keys=list(queues), queues=lines(queues.values()))
                self._in_hand |= queues.keys()
            yield group

    @contextmanager
    def _tries(self) -> Iterator[Transaction]:
        """Run the block in a transaction; a lock on the record is an outage, no message's fault."""
        try:
            with self._database.transaction() as tx:
                yield tx
        except LockedOut as fault:
            raise DatabaseOutage(f"the table message_tries is locked: {fault}") from fault

    def _read(self, deliveries: Sequence[Delivery]) -> dict[str, _Record]:
        keys = [key_of(delivery) for delivery in deliveries if delivery.redelivered]
        with self._tries() as tx:
            rows = tx.rows("read_tries", keys=keys)
        return {
            key: _Record(tries, is_committed)
            for key, tries, is_committed in rows
            # Settled here, and only not yet deleted.
            if key not in self._settled
        }


def mark_committed(tx: Transaction, deliveries: Sequence[Delivery]) -> None:
    """Let it go on record with *tx* that these, which have ids, took effect by it."""
    keys = [key_of(delivery) for delivery in deliveries if delivery.redelivered]
    if keys:
        tx.later("mark_tries_committed", keys=keys)


def key_of(delivery: Delivery) -> str:
    """Return what a message is recognised by when it comes again."""
    digest = blake2b(delivery.body, digest_size=16, key=delivery.queue.encode())
    digest.update((delivery.properties.message_id or "").encode(errors="surrogateescape"))
    return digest.hexdigest()


def _condemned(delivery: Delivery, record: _Record) -> Result:
    tries = record.tries + 1
    outcome = Abandoned(tries) if record.is_committed else Quarantined(tries)
    return Result(delivery, None, outcome, None)
