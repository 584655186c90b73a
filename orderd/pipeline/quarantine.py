"""Messages that a daemon had not acked when it crashed: tried with growing caution, then rejected.

That a message is redelivered means little, a clean stop does that too. So each further try is on
record before it begins, and off the record once the message is settled: the n-th try that would
be recorded without that is not made.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import blake2b
from operator import itemgetter
from typing import Final

from orderd.amqp.message import Delivery
from orderd.amqp.renewal import count_in
from orderd.db.arrays import lines
from orderd.db.connection import Database
from orderd.db.faults import (
    RowFault,
    SchemaFault,
    ServerFault,
    TransactionConflict,
)
from orderd.db.transaction import Transaction
from orderd.pipeline.records import recording
from orderd.pipeline.results import Result
from orderd.pipeline.uses import TRIES
from orderd.protocol.names import HEADER_CLEAN_STOPS, HEADER_RENEWALS
from orderd.protocol.values import value
from orderd.shop.outcomes import CommittedUnacked, Quarantined

# The header that counts them is open to producers, and must not let a message kill for ever.
CLEAN_STOPS_MAX: Final = 10


@value
class _Record:
    tries: int
    is_committed: bool


@value
class Group:
    """Deliveries that may be tried together, and results of those that are not tried again."""

    deliveries: Sequence[Delivery] = ()
    rejected: Sequence[Result] = ()


class Quarantine:
    """Keeps the record of redelivered messages in the table ``message_tries``."""

    def __init__(self, database: Database) -> None:
        """Keep the record in *database*."""
        self._database = database
        self._settled: set[str] = set()
        # Recorded here and not settled: no crash, as long as this is remembered.
        self._in_hand: dict[str, Delivery] = {}

    def admit(self, deliveries: Sequence[Delivery], poison_after: int) -> Iterator[Group]:
        """Yield *deliveries*, in their order, in groups that may be tried together.

        What has not been redelivered is one group and costs nothing. A first redelivery is tried
        in company, a further one alone, and the *poison_after*-th try is not made.
        The tries of a group are on record when it is yielded, so the caller must have settled it
        when it asks for the next one. Raises `DatabaseOutage`.
        """
        if not any(map(was_tried, deliveries)):
            yield Group(deliveries)
            return
        records = self._read(deliveries)
        company: list[Delivery] = []
        for delivery in deliveries:
            record = records.get(key_of(delivery), _Record(0, is_committed=False))
            if not was_tried(delivery) or (record.tries == 0 and poison_after > 2):  # noqa: PLR2004 - with 2, the first redelivery is the last
                company.append(delivery)
                continue
            yield from self._recorded(company)
            company = []
            if record.tries + 1 >= poison_after:
                yield Group(rejected=[_rejected(delivery, record)])
            else:
                yield from self._recorded([delivery])
        yield from self._recorded(company)

    def note_settled(self, deliveries: Sequence[Delivery]) -> None:
        """Take settled deliveries off the record, with the next `forget_settled`."""
        for delivery in filter(was_tried, deliveries):
            key = key_of(delivery)
            self._settled.add(key)
            self._in_hand.pop(key, None)

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

    def take_in_hand(self) -> list[Delivery]:
        """Return, once, the deliveries whose tries are on record and could not be withdrawn."""
        deliveries = list(self._in_hand.values())
        self._in_hand.clear()
        return deliveries

    def record_again(
        self, deliveries: Sequence[Delivery], touch: Callable[[Transaction], None]
    ) -> None:
        """Take the tries of *deliveries* off the record while *touch* waits for the database.

        A daemon that is killed while it waits for a lock or for a server without an answer was
        not killed by its message. Raises `DatabaseOutage`.
        """
        tried = _by_key(deliveries)
        if not tried:
            return
        with recording(self._database, TRIES) as tx:
            tx.later("withdraw_tries", keys=list(tried))
        for key in tried:
            self._in_hand.pop(key, None)
        try:
            with self._database.transaction() as tx:
                touch(tx)
                _record(tx, tried)
        except (TransactionConflict, RowFault, SchemaFault, ServerFault):
            # The try itself will meet it, and find out whose fault it is; nothing there kills.
            return
        self._in_hand |= tried

    def _recorded(self, deliveries: Sequence[Delivery]) -> Iterator[Group]:
        if deliveries:
            # The record must be there before the try, or a crash would leave none.
            tried = _by_key(deliveries)
            if tried:
                with recording(self._database, TRIES) as tx:
                    _record(tx, tried)
                self._in_hand |= tried
            yield Group(deliveries)

    def _read(self, deliveries: Sequence[Delivery]) -> dict[str, _Record]:
        clean_stops = {
            key_of(delivery): count_in(delivery, HEADER_CLEAN_STOPS)
            for delivery in filter(was_tried, deliveries)
        }
        with recording(self._database, TRIES) as tx:
            rows = tx.rows("read_tries", keys=list(clean_stops))
        return {
            key: _Record(max(0, tries - min(clean_stops[key], CLEAN_STOPS_MAX)), is_committed)
            for key, tries, is_committed in rows
            # Settled here, and only not yet deleted.
            if key not in self._settled
        }


def mark_committed(tx: Transaction, deliveries: Sequence[Delivery]) -> None:
    """Let it go on record with *tx* that these, which have ids, took effect by it."""
    keys = [key_of(delivery) for delivery in deliveries if was_tried(delivery)]
    if keys:
        tx.later("mark_tries_committed", keys=keys)


def key_of(delivery: Delivery) -> str:
    """Return what a message is recognised by when it comes again."""
    digest = blake2b(delivery.body, digest_size=16, key=delivery.queue.encode())
    digest.update((delivery.properties.message_id or "").encode(errors="surrogateescape"))
    return digest.hexdigest()


def _by_key(deliveries: Sequence[Delivery]) -> dict[str, Delivery]:
    """Return those of *deliveries* that were tried before, by their keys in order."""
    known = {key_of(delivery): delivery for delivery in filter(was_tried, deliveries)}
    return dict(sorted(known.items(), key=itemgetter(0)))


def _record(tx: Transaction, tried: Mapping[str, Delivery]) -> None:
    queues = lines(str(delivery.queue) for delivery in tried.values())
    tx.later("record_tries", keys=list(tried), queues=queues)


def was_tried(delivery: Delivery) -> bool:
    """Return whether an earlier delivery of the message, or of what it is a copy of, was tried."""
    return delivery.redelivered or bool(count_in(delivery, HEADER_RENEWALS))


def _rejected(delivery: Delivery, record: _Record) -> Result:
    tries = record.tries + 1
    outcome = CommittedUnacked(tries) if record.is_committed else Quarantined(tries)
    return Result(delivery, None, outcome, None)
