"""What follows from a result: which messages must be out before the delivery may be acked."""

from collections.abc import Callable, Sequence
from datetime import datetime
from enum import Enum, auto
from typing import assert_never

from orderd.amqp.message import OutgoingMessage
from orderd.pipeline.dead_letters import Verdict, dead_letter, dead_lettered_event
from orderd.pipeline.messages import reply_message, retry_message
from orderd.pipeline.outbox.publish import event_message
from orderd.pipeline.outbox.rows import OutboxRow
from orderd.pipeline.policy import Policy
from orderd.pipeline.receipts import Receipts
from orderd.pipeline.report import Reporter
from orderd.pipeline.results import Result
from orderd.protocol.cloud_events import CloudEvent, EventContext, new_id
from orderd.protocol.names import POISON, RETRIES_EXHAUSTED, NoticeQueue
from orderd.protocol.replies import Response
from orderd.protocol.values import value
from orderd.shop.outcomes import (
    Answered,
    Applied,
    CommittedUnacked,
    Deferred,
    Done,
    Duplicate,
    Invalid,
    Quarantined,
    Refused,
    Unavailable,
    Undeliverable,
    Unreachable,
    Waiting,
)


class Purpose(Enum):
    """Why a message is sent, and so what its failing means."""

    EVENT = auto()  # the outbox keeps it: it is sent again later
    REPLY = auto()  # the caller is gone: it can be dropped
    NOTICE = auto()  # best effort
    RETRY = auto()  # takes the place of the delivery, which must not be acked without it
    DEAD_LETTER = auto()  # likewise


@value(eq=False)
class OutboundMessage:
    """A message to send for a result; `row_id` is that of an event in the outbox.

    `delay_s` is how long a retry waits. `then` are sent once the broker has this one.
    """

    purpose: Purpose
    outgoing: OutgoingMessage
    result: Result
    row_id: int = 0
    delay_s: float = 0.0
    then: tuple["OutboundMessage", ...] = ()

    @property
    def queue(self) -> str:
        """The queue that it goes to, where it goes to one."""
        return self.outgoing.routing_key

    @property
    def must_go(self) -> bool:
        """Whether it takes the place of its delivery, which must not be acked without it."""
        return self.purpose is Purpose.RETRY or self.purpose is Purpose.DEAD_LETTER


class OutboundMessages:
    """Makes the messages that follow from results."""

    def __init__(
        self,
        policy: Policy,
        receipts: Receipts,
        reporter: Reporter,
        now: Callable[[], datetime],
    ) -> None:
        """Follow *policy*; what is noteworthy on the way is told to *reporter*.

        *now* tells the time, which is the database's wherever it stands in data. Copies keep their
        receipts by *receipts*.
        """
        self._policy = policy
        self._receipts = receipts
        self._reporter = reporter
        self._now = now

    def of(self, results: Sequence[Result]) -> list[OutboundMessage]:
        """Return what must be sent for *results*: events in the order of commit, then the rest."""
        events = [
            OutboundMessage(Purpose.EVENT, event_message(row), result, row.id)
            for result in results
            for row in result.events
        ]
        return events + [message for result in results for message in self._after(result)]

    def _after(self, result: Result) -> list[OutboundMessage]:
        outcome = result.outcome
        match outcome:
            case Applied() | Answered() | Unavailable() | Refused() | Duplicate():
                return self._reply(result, result.response)
            case Invalid(code, message):
                return [self._dead_letter(result, Verdict(code, message), result.response)]
            case Undeliverable(code, message):
                return [self._dead_letter(result, Verdict(code, message), None)]
            case Deferred() | Waiting() | Unreachable():
                return [self._again(result, outcome)]
            case Quarantined(tries):
                reason = f"the daemon died in each of {tries} tries"
                return [self._dead_letter(result, Verdict(POISON, reason), None)]
            case Done() | CommittedUnacked():
                # The effect is in the tables and the event in the outbox; only a reply is lost.
                return []
        assert_never(outcome)

    def _again(self, result: Result, outcome: Deferred | Waiting | Unreachable) -> OutboundMessage:
        """Return the copy that waits for another try, or the dead letter where no try is left."""
        delays_s = self._policy.retry_delays_s
        attempt = result.attempt
        if isinstance(outcome, Waiting | Unreachable) or outcome.lock:
            # As short as can be: the one ahead of it, or who holds the lock, may be done by then.
            delay_s = min(delays_s)
        elif attempt < len(delays_s) and not outcome.is_last:
            while attempt < len(delays_s) - 1 and delays_s[attempt] < outcome.delay_s:
                attempt += 1
            delay_s = delays_s[attempt]
            attempt += 1
        else:
            reason = f"{outcome.code}: {outcome.message}"
            response = Response.failed(RETRIES_EXHAUSTED, reason)
            verdict = Verdict(RETRIES_EXHAUSTED, reason, outcome.error)
            return self._dead_letter(result, verdict, response)
        receipt = self._receipts.headers(result.delivery)
        copy = retry_message(result, delay_s, attempt, outcome.place, receipt)
        return OutboundMessage(Purpose.RETRY, copy, result, delay_s=delay_s)

    def _reply(self, result: Result, response: Response | None) -> list[OutboundMessage]:
        reply_to = result.delivery.properties.reply_to
        if not reply_to or response is None:
            if result.command is not None and result.command.is_query:
                self._reporter.query_unanswered(result)
            return []
        if unsent := self._policy.unsent(reply_to):
            self._reporter.reply_ignored(result, reply_to, unsent)
            return []
        return [OutboundMessage(Purpose.REPLY, reply_message(result, response, reply_to), result)]

    def _dead_letter(
        self, result: Result, verdict: Verdict, response: Response | None
    ) -> OutboundMessage:
        """Return the dead letter; notice and reply follow once the broker has it."""
        receipt = self._receipts.headers(result.delivery)
        copy = dead_letter(result, verdict, self._now(), receipt)
        then = tuple(self._reply(result, response))
        # A letter about a notification to administrators would be one more of these.
        if result.delivery.queue != NoticeQueue.ADMIN:
            then = (self.notice(dead_lettered_event(result, verdict), result), *then)
        return OutboundMessage(Purpose.DEAD_LETTER, copy, result, then=then)

    def notice(self, event: CloudEvent, result: Result) -> OutboundMessage:
        """Return an event of the system itself, which no outbox keeps."""
        event_id = new_id()
        source = self._policy.events_source
        context = EventContext(source, self._now(), result.correlation_id, result.actor)
        body = event.body(event_id, context)
        message = event_message(OutboxRow(0, event_id, event.type, body))
        return OutboundMessage(Purpose.NOTICE, message, result)
