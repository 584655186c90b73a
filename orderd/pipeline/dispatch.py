"""Dispatch: what settling calls for is published, in a form that AMQP can carry."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from orderd.amqp.faults import BrokerFault, Unpublishable
from orderd.amqp.in_flight import InFlight
from orderd.amqp.publish_confirms import LOST, PublishConfirms
from orderd.amqp.publisher import Publisher
from orderd.pipeline.dead_letters import without_original_headers
from orderd.pipeline.direct_replies import DirectReplies
from orderd.pipeline.outbound import OutboundMessage, Purpose
from orderd.pipeline.outbox.rows import Confirmed
from orderd.pipeline.report import Reporter
from orderd.runtime.crash_points import Failpoint, reach_any

_PUBLISHED: Final[dict[Purpose, Failpoint]] = {
    Purpose.EVENT: "events_published",
    Purpose.REPLY: "replies_published",
    Purpose.RETRY: "retry_published",
    Purpose.DEAD_LETTER: "dlq_published",
}


class Dispatcher:
    """Publishes outbound messages; direct replies on a connection of their own."""

    def __init__(
        self,
        publisher: Publisher,
        direct_replies: DirectReplies,
        confirmed: Confirmed,
        in_flight: InFlight,
        reporter: Reporter,
    ) -> None:
        """Tell *in_flight* of retries, *confirmed* of events that AMQP cannot carry."""
        self._publisher = publisher
        self._direct_replies = direct_replies
        self._confirmed = confirmed
        self._in_flight = in_flight
        self._reporter = reporter

    def send(
        self, wanted: Sequence[OutboundMessage]
    ) -> tuple[Sequence[OutboundMessage], PublishConfirms]:
        """Publish *wanted* without waiting; return those to be confirmed, and their confirms.

        Never raises: where the connection is lost, the confirms say so.
        """
        direct = [each for each in wanted if DirectReplies.is_for(each)]
        if direct:
            wanted = [each for each in wanted if not DirectReplies.is_for(each)]
            direct = [each for each in map(self._publishable, direct) if each is not None]
        for each in wanted:
            if each.purpose is Purpose.RETRY:
                self._in_flight.note_sent(each.result.delivery, each.delay_s)
        sent, confirms = self._publish(wanted)
        self._direct_replies.send(direct)
        purposes = (each.purpose for part in (sent, direct) for each in part)
        reach_any(_PUBLISHED[purpose] for purpose in purposes if purpose in _PUBLISHED)
        return sent, confirms

    def _publish(
        self, wanted: Sequence[OutboundMessage]
    ) -> tuple[Sequence[OutboundMessage], PublishConfirms]:
        if not self._publisher.is_ready:
            return wanted, _lost(wanted)
        try:
            return wanted, self._publisher.publish([each.outgoing for each in wanted])
        except Unpublishable:
            able = [each for each in map(self._publishable, wanted) if each is not None]
            return self._publish(able)
        except BrokerFault:
            # What is committed is settled all the same; the loop reconnects.
            return wanted, _lost(wanted)

    def _publishable(self, message: OutboundMessage) -> OutboundMessage | None:
        """Return *message* in a form that AMQP can carry, None where it has none.

        A copy then goes without its producer's headers, and a reply to an impossible address is
        dropped.
        """
        try:
            self._publisher.check(message.outgoing)
        except Unpublishable as fault:
            if message.purpose is Purpose.REPLY:
                self._reporter.reply_dropped(message.result, str(fault))
                return None
            if message.purpose is Purpose.EVENT:
                self._confirmed.set_aside(message.row_id, str(fault))
                return None
            return replace(message, outgoing=without_original_headers(message.outgoing))
        return message


def _lost(wanted: Sequence[OutboundMessage]) -> PublishConfirms:
    """Return the confirms of what cannot be sent: there is no connection."""
    reasons = dict.fromkeys(range(len(wanted)), LOST)
    return PublishConfirms([each.outgoing for each in wanted], 1, reasons)
