"""Settling: what a batch caused is published and confirmed, and only then acked."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import Final

from orderd.amqp.consumer import Consumer
from orderd.amqp.message import Delivery
from orderd.amqp.publish_confirms import LOST, PublishConfirms
from orderd.amqp.publisher import CONFIRM_TIMEOUT_S, Publisher
from orderd.pipeline.context import Withheld
from orderd.pipeline.direct_replies import DirectReplies
from orderd.pipeline.dispatch import Dispatcher
from orderd.pipeline.held_back import HeldBack
from orderd.pipeline.measures import Stopwatch, code_of
from orderd.pipeline.missing_targets import MissingTargets
from orderd.pipeline.outbound import OutboundMessage, OutboundMessages, Purpose
from orderd.pipeline.outbox.rows import Confirmed
from orderd.pipeline.quarantine import Quarantine
from orderd.pipeline.report import Reporter
from orderd.pipeline.results import Result, in_portions
from orderd.pipeline.stats import Stats
from orderd.protocol.metrics import BatchPhase
from orderd.protocol.names import HEADER_CODE, HEADER_REASON
from orderd.protocol.values import value
from orderd.runtime.crash_points import reach
from orderd.shop.outcomes import Applied

# Until a batch is committed, the one before it is published, and that before it confirmed.
UNCONFIRMED_BATCHES_MAX: Final = 1


@value
class _Settlement:
    """Deliveries that are acked once every message that must go is confirmed."""

    deliveries: Sequence[Delivery]
    outbound: Sequence[OutboundMessage]
    confirms: PublishConfirms
    since_sent: Stopwatch

    @property
    def unackable(self) -> set[int]:
        """The tags of the deliveries that must not be acked before their message has gone."""
        return {each.result.delivery.tag for each in self.outbound if each.must_go}


class Settler:
    """Publishes what results call for; acks each delivery when the messages that must go have gone.

    Results that were accepted are published, and confirms gathered, while PostgreSQL works on the
    next batch. What a queue refuses is held back with its delivery and sent again later; its
    neighbours are acked.
    """

    def __init__(
        self,
        consumer: Consumer,
        publisher: Publisher,
        dispatcher: Dispatcher,
        confirmed: Confirmed,
        *,
        quarantine: Quarantine,
        note_dead: Callable[[Sequence[Result]], None],
        outbound: OutboundMessages,
        direct_replies: DirectReplies,
        reporter: Reporter,
        stats: Stats,
        keep_alive: Callable[[], None],
    ) -> None:
        """Ack to *consumer*; tell *confirmed* what became of events, *note_dead* of dead letters.

        *keep_alive* is called at least once a second while confirms are awaited.
        """
        self._consumer = consumer
        self._publisher = publisher
        self._dispatcher = dispatcher
        self._confirmed = confirmed
        self._quarantine = quarantine
        self._note_dead = note_dead
        self._outbound = outbound
        self._direct_replies = direct_replies
        self._reporter = reporter
        self._stats = stats
        self._measures = stats.measures
        self._keep_alive = keep_alive
        self._held = HeldBack(reporter)
        self._missing_targets = MissingTargets(consumer, reporter)
        self._accepted: deque[Sequence[Result]] = deque()
        self._unconfirmed: deque[_Settlement] = deque()
        # Tags of deliveries that would take effect a second time if they were delivered again.
        self._unrepeatable: set[int] = set()

    @property
    def held(self) -> int:
        """How many deliveries wait for a queue that refuses what must go there."""
        return len(self._held)

    def retried(self) -> Iterator[Delivery]:
        """Yield the deliveries whose copies for another try are not known to have arrived yet."""
        self._send_accepted()
        unconfirmed = chain.from_iterable(each.outbound for each in self._unconfirmed)
        for message in chain(unconfirmed, self._held):
            if message.purpose is Purpose.RETRY:
                yield message.result.delivery

    def assert_able(self) -> None:
        """Return if what is on lease can be settled now; called right before COMMIT.

        Raises `DeliveriesLost` where the broker may give it to others, `Withheld` where it takes no
        messages, and `BrokerFault` where the connection is lost.
        """
        self._consumer.assert_held(self._consumer.inbox.leased)
        self._publisher.pump()
        if self._publisher.blocked:
            raise Withheld

    def accept(self, results: Sequence[Result]) -> None:
        """Answer for the deliveries of *results*, no longer the lease; they are published later.

        The batch before the last one is acked by then. Raises `BrokerFault`; what was not acked is
        delivered again, and the ledger knows it.
        """
        for portion in in_portions(results):
            for result in portion:
                self._reporter.settled(result)
            self._unrepeatable.update(r.delivery.tag for r in portion if _is_unrepeatable(r))
            self._consumer.inbox.release(each.delivery for each in portion)
            self._stats.count(portion)
            self._accepted.append(portion)
        self._finish_confirmed(UNCONFIRMED_BATCHES_MAX)

    def settle(self, results: Sequence[Result]) -> None:
        """Accept *results*, and publish what they call for; raises as `accept` does."""
        if results:
            self.accept(results)
            self.publish()

    def publish(self) -> None:
        """Publish what accepted results call for, and ack what leads to nothing else than events.

        These are in the outbox. Waits for no confirm; raises `BrokerFault`.
        """
        while self._accepted:
            self._publish_next()

    def step(self) -> bool:
        """Publish a part, or ack what is confirmed by now; return whether there is more to do.

        Waits for nothing: what would take a wait is left to `finish`. Raises `BrokerFault`.
        """
        if not self._publisher.is_whole:
            return False
        if self._accepted:
            self._publish_next()
            return True
        if not self._unconfirmed:
            return False
        self._publisher.turn()
        while self._unconfirmed and self._unconfirmed[0].confirms.done:
            self._finish_first()
        return False

    def finish(self) -> None:
        """Publish what was accepted, await all confirms, and ack; raises `BrokerFault`."""
        self.publish()
        self._finish_confirmed(0)

    def ack_in_alarm(self) -> None:
        """Ack what would be done twice, while the broker takes no messages.

        The broker closes the channel of a consumer that acks too late. Events wait in the outbox,
        and replies in the socket; a command with an id may be delivered again, and is answered
        from the ledger. Raises `BrokerFault`.
        """
        if not (self._unrepeatable and self._publisher.blocked):
            return
        self._send_accepted()
        for place, each in enumerate(self._unconfirmed):
            due = self._unrepeatable - each.unackable
            if alone := [delivery for delivery in each.deliveries if delivery.tag in due]:
                self._ack(alone)
                rest = [delivery for delivery in each.deliveries if delivery.tag not in due]
                self._unconfirmed[place] = replace(each, deliveries=rest)

    def ack_at_last(self) -> None:
        """Ack what is committed on a connection that is given up for want of an answer.

        Events are in the outbox, and a caller without a reply asks again. Never raises.
        """
        self._send_accepted()
        for each in self._unconfirmed:
            unackable = each.unackable
            self._consumer.ack_at_last([d for d in each.deliveries if d.tag not in unackable])

    def retry_held(self) -> None:
        """Send again what was refused, when it is time; raises `BrokerFault`.

        What has waited too long goes back to its own queue: another daemon may succeed with it.
        """
        overdue = [each.result.delivery for each in self._held.take_overdue()]
        if overdue:
            self._reporter.held_too_long(len(overdue))
            self._consumer.requeue(overdue)
        self._missing_targets.declare()
        if due := self._held.take_due():
            self._send(due, [each.result.delivery for each in due])

    def without_unconfirmed(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Return those of *deliveries* that are not about to be acked."""
        self._send_accepted()
        leaving = {delivery.tag for each in self._unconfirmed for delivery in each.deliveries}
        return [delivery for delivery in deliveries if delivery.tag not in leaving]

    def publisher_lost(self) -> None:
        """Ack what is committed all the same; hold what must go and was not confirmed.

        Events are in the outbox, and a caller without a reply asks again. Raises `BrokerFault`.
        """
        self._send_accepted()
        while self._unconfirmed:
            settlement = self._unconfirmed[0]
            settlement.confirms.close_all(LOST)
            self._conclude(settlement)
            self._unconfirmed.popleft()

    def abandon(self) -> None:
        """Forget what is not acked: the connection that could confirm or ack it is gone."""
        self._accepted.clear()
        self._unconfirmed.clear()
        self._held.clear()
        self._unrepeatable.clear()

    def _publish_next(self) -> None:
        awaited = self._send_next()
        settlement = self._unconfirmed[-1]
        if alone := [each for each in settlement.deliveries if each.tag not in awaited]:
            later = [each for each in settlement.deliveries if each.tag in awaited]
            self._unconfirmed[-1] = replace(settlement, deliveries=later)
            self._ack(alone)

    def _send_accepted(self) -> None:
        """Publish what accepted results call for, and ack nothing; never raises."""
        while self._accepted:
            self._send_next()

    def _send_next(self) -> set[int]:
        """Publish the next results; return the tags of deliveries that lead to more than events."""
        watch = self._measures.stopwatch()
        portion = self._accepted.popleft()
        wanted = self._outbound.of(portion)
        self._send(wanted, [each.delivery for each in portion])
        watch.end(BatchPhase.PUBLISH)
        return {e.result.delivery.tag for e in wanted if e.purpose is not Purpose.EVENT}

    def _finish_confirmed(self, leave: int) -> None:
        """Await confirms and ack, oldest first, until at most *leave* batches are unconfirmed."""
        while len(self._unconfirmed) > leave:
            settlement = self._unconfirmed[0]
            timeout_s = self._timeout_s(settlement)
            self._publisher.wait_out(settlement.confirms, timeout_s, self._keep_alive_in_alarm)
            self._direct_replies.wait()
            self._finish_first()

    def _finish_first(self) -> None:
        reach("events_confirmed")
        self._unconfirmed[0].since_sent.end(BatchPhase.CONFIRM)
        self._conclude(self._unconfirmed[0])
        self._unconfirmed.popleft()

    def _keep_alive_in_alarm(self) -> None:
        self._keep_alive()
        self.ack_in_alarm()

    def _timeout_s(self, settlement: _Settlement) -> float:
        """Return how long the confirms of *settlement* are awaited, in seconds.

        Only retries and dead letters must have gone before the ack: an event is in the outbox, and
        a queue that confirms nothing must not hold up all others.
        """
        if any(each.must_go for each in settlement.outbound):
            return CONFIRM_TIMEOUT_S
        return self._publisher.patience.seconds

    def _send(self, wanted: Sequence[OutboundMessage], deliveries: Sequence[Delivery]) -> None:
        """Publish *wanted*; ack *deliveries* later, except those of which something is held."""
        held = {
            each.result.delivery.tag for each in wanted if each.must_go and self._held.hold(each)
        }
        if held:
            wanted = [e for e in wanted if not (e.must_go and e.result.delivery.tag in held)]
            deliveries = [each for each in deliveries if each.tag not in held]
        sent, confirms = self._dispatcher.send(wanted)
        since_sent = self._measures.stopwatch()
        self._unconfirmed.append(_Settlement(deliveries, sent, confirms, since_sent))

    def _conclude(self, settlement: _Settlement) -> None:
        """Ack what is done; hold what was refused; send what follows from what has gone."""
        refused = self._note_refused(settlement)
        sent = [
            each
            for index, each in enumerate(settlement.outbound)
            if each.purpose is Purpose.EVENT and index not in settlement.confirms.failed
        ]
        self._confirmed.add([(e.row_id, e.outgoing.properties.message_id or "") for e in sent])
        self._measures.events.published.update([e.outgoing.routing_key for e in sent])
        must_go = [each for each in settlement.outbound if each.must_go]
        gone = [each for each in must_go if each not in refused] if refused else must_go
        self._note_gone(gone)
        self._held.refuse(refused)
        self._missing_targets.note(refused.values())
        following = [each for each in gone if each.then]
        unfinished = {each.result.delivery.tag for each in (*refused, *following)}
        self._ack([each for each in settlement.deliveries if each.tag not in unfinished])
        if following:
            wanted = [then for each in following for then in each.then]
            self._send(wanted, [each.result.delivery for each in following])

    def _note_refused(self, settlement: _Settlement) -> dict[OutboundMessage, str]:
        """Return what was refused that must go, with the reason; note what else was."""
        refused = {}
        for index, why in settlement.confirms.failed.items():
            message = settlement.outbound[index]
            if message.must_go:
                refused[message] = why
            elif message.purpose is Purpose.EVENT:
                # Without an answer it may have gone: it stays in the outbox, as after a crash.
                if why != LOST:
                    self._measures.events.refused[message.outgoing.routing_key] += 1
                    self._confirmed.refuse(message.row_id, why)
                    self._missing_targets.note([why])
            elif message.purpose is Purpose.REPLY:
                self._reporter.reply_dropped(message.result, why)
        return refused

    def _ack(self, deliveries: Sequence[Delivery]) -> None:
        reach("before_ack")
        # Ack last: a crash before this line costs a duplicate, not a loss.
        self._consumer.ack(deliveries)
        self._quarantine.note_settled(deliveries)
        self._unrepeatable.difference_update(delivery.tag for delivery in deliveries)
        reach("after_ack")

    def _note_gone(self, gone: Sequence[OutboundMessage]) -> None:
        for message in gone:
            queue = str(message.result.delivery.queue)
            if message.purpose is Purpose.RETRY:
                self._reporter.deferred(message.result, message.delay_s)
                self._measures.retries[queue, code_of(message.result)] += 1
            else:
                headers = message.outgoing.properties.headers or {}
                code, reason = headers[HEADER_CODE], headers[HEADER_REASON]
                self._reporter.dead_lettered(message.result, code, reason)
                self._measures.dead_letters[queue, code] += 1
        self._note_dead([e.result for e in gone if e.purpose is Purpose.DEAD_LETTER])
        self._held.accept({each.queue for each in gone})


def _is_unrepeatable(result: Result) -> bool:
    """Return whether the command took effect, and the ledger would not know it again."""
    command = result.command
    is_change = command is not None and not command.is_query and not command.is_recorded
    return is_change and isinstance(result.outcome, Applied)
