"""Settling: what a batch caused is published and confirmed, and only then acked."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final

from orderd.amqp.consumer import Consumer
from orderd.amqp.faults import BrokerFault, ChannelFault, TopologyMismatch, Unpublishable
from orderd.amqp.message import Delivery, OutgoingMessage
from orderd.amqp.publish_confirms import LOST, NACKED, UNANSWERED, PublishConfirms
from orderd.amqp.publisher import Publisher
from orderd.amqp.renewal import renewed_command
from orderd.pipeline.dead_letters import without_original_headers
from orderd.pipeline.deferrals import Deferrals
from orderd.pipeline.direct_replies import DirectReplies
from orderd.pipeline.held_back import HeldBack
from orderd.pipeline.outbound import OutboundMessage, OutboundMessages, Purpose
from orderd.pipeline.outbox.rows import Confirmed
from orderd.pipeline.oversize import shortened
from orderd.pipeline.quarantine import Quarantine
from orderd.pipeline.report import Reporter
from orderd.pipeline.results import Result
from orderd.protocol.names import HEADER_CODE, HEADER_REASON
from orderd.runtime.crash_points import Failpoint, reach
from orderd.shop.outcomes import Applied

CONFIRM_TIMEOUT_S: Final = 15.0
_DECLARE_EVERY_S: Final = 1.0
_PUBLISHED: Final[dict[Purpose, Failpoint]] = {
    Purpose.EVENT: "events_published",
    Purpose.REPLY: "replies_published",
    Purpose.RETRY: "retry_published",
    Purpose.DEAD_LETTER: "dlq_published",
}


@dataclass(frozen=True, slots=True)
class _Settlement:
    """Deliveries that are acked once every message is confirmed that must go."""

    deliveries: Sequence[Delivery]
    outbound: Sequence[OutboundMessage]
    confirms: PublishConfirms

    @property
    def waiting(self) -> set[int]:
        """The tags of the deliveries that must not be acked before something has gone."""
        return {each.result.delivery.tag for each in self.outbound if each.must_go}


class Settler:
    """Publishes the outbound of results; acks each delivery when what must go has gone.

    One batch's confirms come in while the next one is in its transaction. What a queue refuses is
    held with its delivery and sent again later; its neighbours are acked.
    """

    def __init__(
        self,
        consumer: Consumer,
        publisher: Publisher,
        confirmed: Confirmed,
        *,
        quarantine: Quarantine,
        deferrals: Deferrals,
        outbound: OutboundMessages,
        direct_replies: DirectReplies,
        reporter: Reporter,
    ) -> None:
        """Publish by *publisher*, ack to *consumer*, tell *confirmed* of what became of events."""
        self._quarantine = quarantine
        self._deferrals = deferrals
        self._direct_replies = direct_replies
        self.outbound = outbound
        self._consumer = consumer
        self._publisher = publisher
        self._confirmed = confirmed
        self._reporter = reporter
        self._held = HeldBack()
        self._is_missing = False
        self._declare_at_s = 0.0
        self._on_the_way: deque[_Settlement] = deque()
        # Tags of deliveries that would take effect a second time, were they delivered again.
        self._unrepeatable: set[int] = set()

    @property
    def held(self) -> int:
        """How many deliveries wait for a queue that refuses what must go there."""
        return len(self._held)

    @property
    def retried(self) -> Iterator[Delivery]:
        """The deliveries whose copies for another try are not known to be in their queue yet."""
        on_the_way = chain.from_iterable(each.outbound for each in self._on_the_way)
        for message in chain(on_the_way, self._held):
            if message.purpose is Purpose.RETRY:
                yield message.result.delivery

    def begin(self, results: Sequence[Result]) -> None:
        """Publish what follows from *results*, without waiting; raises `BrokerFault`."""
        for result in results:
            self._reporter.settled(result)
        self._unrepeatable.update(r.delivery.tag for r in results if _is_unrepeatable(r))
        self._send(self.outbound.of(results), [each.delivery for each in results])

    def finish(self, on_slice: Callable[[], None], leave: int = 0) -> None:
        """Wait for confirms and ack, oldest first, until at most *leave* batches are on their way.

        *on_slice* is called at least once a second. Raises `BrokerFault`; what was not acked by
        then is delivered again, and the ledger knows it.
        """

        def on_slice_in_alarm() -> None:
            on_slice()
            self.ack_in_alarm()

        while len(self._on_the_way) > leave:
            settlement = self._on_the_way[0]
            patience_s = self._patience_s(settlement)
            self._publisher.wait_out(settlement.confirms, patience_s, on_slice_in_alarm)
            self._direct_replies.wait()
            reach("events_confirmed")
            self._conclude(self._on_the_way[0])
            self._on_the_way.popleft()

    def _patience_s(self, settlement: _Settlement) -> float:
        """Return how long the confirms of *settlement* are waited for, in seconds.

        Only retries and dead letters must have gone before the ack: an event is in the outbox, and
        a queue that confirms nothing is not to hold up all others.
        """
        if any(each.must_go for each in settlement.outbound):
            return CONFIRM_TIMEOUT_S
        return self._publisher.patience.seconds

    def ack_in_alarm(self) -> None:
        """Ack what would be done twice, where the broker takes no messages for now.

        It closes the channel of who acks too late. Events wait in the outbox, and replies in the
        socket; what has an id may well come again, and is answered then. Raises `BrokerFault`.
        """
        if not (self._unrepeatable and self._publisher.blocked):
            return
        for place, each in enumerate(self._on_the_way):
            due = self._unrepeatable - each.waiting
            if alone := [delivery for delivery in each.deliveries if delivery.tag in due]:
                self._ack(alone)
                rest = [delivery for delivery in each.deliveries if delivery.tag not in due]
                self._on_the_way[place] = replace(each, deliveries=rest)

    def ack_at_last(self) -> None:
        """Ack what is committed, where the broker did not answer and the connection is given up.

        Events are in the outbox, and a caller without a reply asks again. Never raises.
        """
        for each in self._on_the_way:
            waiting = each.waiting
            self._consumer.ack_at_last([d for d in each.deliveries if d.tag not in waiting])

    def retry_held(self) -> None:
        """Send again what was refused, where it is time; raises `BrokerFault`.

        What has waited too long goes back to its own queue: others may have better luck with it.
        """
        overdue = [each.result.delivery for each in self._held.take_overdue()]
        if overdue:
            self._reporter.held_too_long(len(overdue))
            self._consumer.requeue(overdue)
        self._declare_missing()
        if due := self._held.take_due():
            self._send(due, [each.result.delivery for each in due])

    def renew(self, on_slice: Callable[[], None], places: Mapping[int, str]) -> None:
        """Let copies take the place of deliveries that the broker might soon drop.

        *places* are the keys of the places that they keep in the lines of their rows, by tag. Those
        that cannot be renewed are tried as they are. Raises `BrokerFault`.
        """
        worn = self._consumer.worn
        if worn and not self._publisher.blocked:
            deliveries = list(worn)
            worn.clear()
            copies = [
                (each, renewed_command(each, place=places.get(each.tag))) for each in deliveries
            ]
            kept = self._replace(copies, on_slice)
            self._reporter.renewed(len(deliveries) - len(kept))
            self._consumer.inbox.extend(kept)

    def forgive(self, quarantine: Sequence[Delivery], on_slice: Callable[[], None]) -> None:
        """Note on messages themselves that a clean stop, no crash, ends their tries on record.

        For deliveries whose records the database cannot take back now. Raises `BrokerFault`.
        """
        leaving = {delivery.tag for each in self._on_the_way for delivery in each.deliveries}
        current = [
            delivery
            for delivery in quarantine
            if self._consumer.holds(delivery) and delivery.tag not in leaving
        ]
        if current and not self._publisher.blocked:
            copies = [(each, renewed_command(each, is_clean_stop=True)) for each in current]
            self._replace(copies, on_slice)

    def publisher_lost(self) -> None:
        """Ack what is committed all the same; hold what must go and was not confirmed.

        Events are in the outbox, and a caller without a reply asks again. Raises `BrokerFault`.
        """
        while self._on_the_way:
            settlement = self._on_the_way[0]
            settlement.confirms.close_all(LOST)
            self._conclude(settlement)
            self._on_the_way.popleft()

    def abandon(self) -> None:
        """Forget what is on its way: the connection that could confirm or ack it is gone."""
        self._on_the_way.clear()
        self._held.clear()
        self._unrepeatable.clear()

    def _replace(
        self,
        copies: Sequence[tuple[Delivery, OutgoingMessage]],
        on_slice: Callable[[], None],
    ) -> list[Delivery]:
        """Publish *copies*, ack the deliveries whose the broker has taken, return the others."""
        able = [(delivery, copy) for delivery, copy in copies if self._can_carry(copy)]
        confirms = self._publisher.publish([copy for _, copy in able])
        self._publisher.wait_out(confirms, CONFIRM_TIMEOUT_S, on_slice)
        taken = [each for index, (each, _) in enumerate(able) if index not in confirms.failed]
        self._consumer.ack(taken)
        tags = {delivery.tag for delivery in taken}
        return [delivery for delivery, _ in copies if delivery.tag not in tags]

    def _send(self, wanted: Sequence[OutboundMessage], deliveries: Sequence[Delivery]) -> None:
        """Publish *wanted*; ack *deliveries* later, but for those of which something is held."""
        held = {each.result.delivery.tag for each in wanted if self._is_held(each)}
        if held:
            wanted = [e for e in wanted if not (e.must_go and e.result.delivery.tag in held)]
            deliveries = [each for each in deliveries if each.tag not in held]
        direct = [each for each in wanted if DirectReplies.is_for(each)]
        if direct:
            wanted = [each for each in wanted if not DirectReplies.is_for(each)]
            direct = [each for each in map(self._publishable, direct) if each is not None]
        for each in wanted:
            if each.purpose is Purpose.RETRY:
                self._consumer.underway.note_sent(each.result.delivery, each.delay_s)
        sent, confirms = self._publish(wanted)
        self._direct_replies.send(direct)
        self._reach_published([*sent, *direct])
        self._on_the_way.append(_Settlement(deliveries, sent, confirms))

    def _is_held(self, message: OutboundMessage) -> bool:
        return message.must_go and self._held.hold(message)

    def _conclude(self, settlement: _Settlement) -> None:
        """Ack what is done; hold what was refused; send what follows from what has gone."""
        refused = self._note_refused(settlement)
        self._confirmed.add(
            [
                (message.row_id, message.message.properties.message_id or "")
                for index, message in enumerate(settlement.outbound)
                if message.purpose is Purpose.EVENT and index not in settlement.confirms.failed
            ]
        )
        must_go = [each for each in settlement.outbound if each.must_go]
        gone = [each for each in must_go if each not in refused] if refused else must_go
        self._note_gone(gone)
        self._hold(refused)
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
                # Without an answer it may have gone: then it is sent again as a crash left it.
                if why != LOST:
                    self._confirmed.refuse(message.row_id, why)
                    self._is_missing = self._is_missing or _tells_of_a_target(why)
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
            if message.purpose is Purpose.RETRY:
                self._reporter.deferred(message.result, message.delay_s)
            else:
                told = message.message.properties.headers or {}
                result = message.result
                self._reporter.dead_lettered(result, told[HEADER_CODE], told[HEADER_REASON])
        self._deferrals.note_gone([e.result for e in gone if e.purpose is Purpose.DEAD_LETTER])
        self._held.accept({each.message.routing_key for each in gone})

    def _hold(self, refused: Mapping[OutboundMessage, str]) -> None:
        """Keep what was *refused*, queue by queue."""
        queues: dict[str, list[OutboundMessage]] = {}
        whys: dict[str, str] = {}
        for refusal, why in refused.items():
            message = refusal
            if (short := shortened(refusal, why)) is not None:
                self._reporter.shortened(refusal.result, len(short.message.body))
                message = short
            queues.setdefault(message.message.routing_key, []).append(message)
            whys.setdefault(message.message.routing_key, why)
            self._is_missing = self._is_missing or _tells_of_a_target(why)
        for queue, outbound in queues.items():
            delay_s = self._held.refuse(outbound)
            self._reporter.held_back(queue, len(outbound), whys[queue], delay_s)

    def _declare_missing(self) -> None:
        """Declare again what somebody deleted, where a message came back for want of its queue."""
        if self._is_missing and time.monotonic() >= self._declare_at_s:
            self._is_missing = False
            self._declare_at_s = time.monotonic() + _DECLARE_EVERY_S
            try:
                self._consumer.declaration.everything()
            except (TopologyMismatch, ChannelFault) as fault:
                self._reporter.topology_changed(fault)

    def _publish(
        self, wanted: Sequence[OutboundMessage]
    ) -> tuple[Sequence[OutboundMessage], PublishConfirms]:
        """Return what was published, with its confirms: *wanted*, as far as AMQP can carry it."""
        if not self._publisher.is_ready:
            return wanted, _lost(wanted)
        try:
            return wanted, self._publisher.publish([each.message for each in wanted])
        except Unpublishable:
            able = [each for each in map(self._publishable, wanted) if each is not None]
            return self._publish(able)
        except BrokerFault:
            # What is committed is settled all the same; the loop connects anew.
            return wanted, _lost(wanted)

    def _publishable(self, message: OutboundMessage) -> OutboundMessage | None:
        """Return *message* in a form that AMQP can carry, None where it has none.

        A copy goes without its producer's headers then, and a reply to nowhere not at all.
        """
        try:
            self._publisher.check(message.message)
        except Unpublishable as fault:
            if message.purpose is Purpose.REPLY:
                self._reporter.reply_dropped(message.result, str(fault))
                return None
            if message.purpose is Purpose.EVENT:
                self._confirmed.set_aside(message.row_id, str(fault))
                return None
            return replace(message, message=without_original_headers(message.message))
        return message

    def _can_carry(self, message: OutgoingMessage) -> bool:
        try:
            self._publisher.check(message)
        except Unpublishable:
            return False
        return True

    @staticmethod
    def _reach_published(outbound: Sequence[OutboundMessage]) -> None:
        purposes = {message.purpose for message in outbound}
        for purpose, point in _PUBLISHED.items():
            if purpose in purposes:
                reach(point)


def _is_unrepeatable(result: Result) -> bool:
    """Return whether the command took effect, and the ledger would not know it again."""
    command = result.command
    is_change = command is not None and not command.content.is_query and not command.is_recorded
    return is_change and isinstance(result.outcome, Applied)


def _tells_of_a_target(why: str) -> bool:
    """Return whether a message was refused because what it was for may be missing."""
    return why not in (NACKED, UNANSWERED, LOST)


def _lost(wanted: Sequence[OutboundMessage]) -> PublishConfirms:
    """Return the confirms of what cannot be sent: there is no connection."""
    reasons = dict.fromkeys(range(len(wanted)), LOST)
    return PublishConfirms([each.message for each in wanted], 1, reasons)
