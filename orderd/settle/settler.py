"""Settling: what a batch caused is published and confirmed, and only then acked."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from orderd.amqp.consumer import Consumer
from orderd.amqp.faults import BrokerFault, Unpublishable
from orderd.amqp.message import Delivery
from orderd.amqp.publisher import Publisher
from orderd.amqp.receipt import Receipt
from orderd.batch.results import Result
from orderd.batch.suspects import Suspects
from orderd.ops.failpoints import reach
from orderd.outbox.rows import Confirmed
from orderd.settle.consequences import Consequence, Consequences, Role
from orderd.settle.dead_letters import without_original_headers
from orderd.settle.direct_replies import DirectReplies, DirectSending
from orderd.settle.report import Reporter

CONFIRM_TIMEOUT_S: Final = 15.0


@dataclass(frozen=True, slots=True)
class _Settlement:
    """Results on their way: acked once every consequence is confirmed."""

    deliveries: Sequence[Delivery]
    consequences: Sequence[Consequence]
    receipt: Receipt
    direct: DirectSending


class Settler:
    """Publishes the consequences of results; acks their deliveries when these are confirmed.

    One batch's confirms come in while the next one is in its transaction.
    """

    def __init__(
        self,
        consumer: Consumer,
        publisher: Publisher,
        confirmed: Confirmed,
        *,
        suspects: Suspects,
        consequences: Consequences,
        direct_replies: DirectReplies,
        reporter: Reporter,
    ) -> None:
        """Publish by *publisher*, ack to *consumer*, tell *confirmed* of what was confirmed."""
        self._suspects = suspects
        self._direct_replies = direct_replies
        self.consequences = consequences
        self._consumer = consumer
        self._publisher = publisher
        self._confirmed = confirmed
        self._reporter = reporter
        self._on_the_way: deque[_Settlement] = deque()

    def begin(self, results: Sequence[Result], on_slice: Callable[[], None]) -> None:
        """Publish what follows from *results*, without waiting; raises `BrokerFault`."""
        for result in results:
            self._reporter.settled(result)
        wanted = self.consequences.of(results)
        direct = [each for each in wanted if DirectReplies.is_for(each)]
        if direct:
            wanted = [each for each in wanted if not DirectReplies.is_for(each)]
            direct = [each for each in map(self._publishable, direct) if each is not None]
        sent, receipt = self._publish(wanted)
        sending = self._direct_replies.begin(direct, on_slice)
        self._reach_published([*sent, *direct])
        deliveries = [result.delivery for result in results]
        self._on_the_way.append(_Settlement(deliveries, sent, receipt, sending))

    def finish(self, on_slice: Callable[[], None], leave: int = 0) -> None:
        """Wait for confirms and ack, oldest first, until at most *leave* batches are on their way.

        *on_slice* is called at least once a second. Raises `BrokerFault`; what was not acked by
        then is delivered again, and the ledger knows it.
        """
        while len(self._on_the_way) > leave:
            settlement = self._on_the_way[0]
            self._publisher.wait_out(settlement.receipt, CONFIRM_TIMEOUT_S, on_slice)
            self._direct_replies.finish(settlement.direct, on_slice)
            reach("events_confirmed")
            self._conclude(settlement)
            self._on_the_way.popleft()

    def abandon(self) -> None:
        """Forget what is on its way: the connection that could confirm or ack it is gone."""
        self._on_the_way.clear()

    def _conclude(self, settlement: _Settlement) -> None:
        failed = settlement.receipt.failed
        for index, why in failed.items():
            consequence = settlement.consequences[index]
            match consequence.role:
                case Role.REPLY:
                    self._reporter.reply_dropped(consequence.result, why)
                case Role.RETRY | Role.DEAD_LETTER:
                    # The queue is gone: connecting anew declares it again.
                    raise BrokerFault(f"{consequence.message.routing_key}: {why}")
                case Role.EVENT | Role.NOTICE:
                    pass
        self._confirmed.add(
            [
                consequence.row_id
                for index, consequence in enumerate(settlement.consequences)
                if consequence.role is Role.EVENT and index not in failed
            ]
        )
        reach("before_ack")
        # Ack last: a crash before this line costs a duplicate, not a loss.
        self._consumer.ack(settlement.deliveries)
        self._suspects.note_settled(settlement.deliveries)
        reach("after_ack")

    def _publish(self, wanted: list[Consequence]) -> tuple[list[Consequence], Receipt]:
        """Return what was published, with its receipt: *wanted*, as far as AMQP can carry it."""
        try:
            return wanted, self._publisher.publish([each.message for each in wanted])
        except Unpublishable:
            able = [each for each in map(self._publishable, wanted) if each is not None]
            return able, self._publisher.publish([each.message for each in able])

    def _publishable(self, consequence: Consequence) -> Consequence | None:
        """Return *consequence* in a form that AMQP can carry, None where it has none.

        A copy goes without its producer's headers then, and a reply to nowhere not at all.
        """
        try:
            self._publisher.check(consequence.message)
        except Unpublishable as fault:
            if consequence.role is Role.REPLY:
                self._reporter.reply_dropped(consequence.result, str(fault))
                return None
            return replace(consequence, message=without_original_headers(consequence.message))
        return consequence

    @staticmethod
    def _reach_published(consequences: Sequence[Consequence]) -> None:
        roles = {consequence.role for consequence in consequences}
        if Role.EVENT in roles:
            reach("events_published")
        if Role.REPLY in roles:
            reach("replies_published")
        if Role.RETRY in roles:
            reach("retry_published")
        if Role.DEAD_LETTER in roles:
            reach("dlq_published")
