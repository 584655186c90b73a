"""Replies through the broker's direct reply-to, on a connection that may be lost for them.

A caller can make up an address on which the broker closes the publisher's connection (541). So
these replies have a connection of their own: what one of them breaks is theirs alone. Nobody waits
for it: while it cannot be had, replies go by the publishing connection.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from orderd.amqp.faults import BrokerFault
from orderd.amqp.publish_confirms import LOST, UNANSWERED, PublishConfirms
from orderd.amqp.publisher import Publisher
from orderd.amqp.reply_address import REPLY_TO, is_exact
from orderd.amqp.stepwise import StepwisePublisher
from orderd.pipeline.outbound import OutboundMessage, Purpose
from orderd.pipeline.report import Reporter
from orderd.protocol.values import value

# Confirms of a healthy broker are here much sooner.
_ANSWER_S: Final = 0.25
REPLY_TIMEOUT_S: Final = 5.0
# Replies that have waited so long for their connection go by the other one.
_WAIT_S: Final = 1.0
_WAITING_MAX: Final = 1_000
# A caller has given up by then.
_PATIENCE_S: Final = 30.0
_TICK_S: Final = 0.02
_FIRST_DELAY_S: Final = 1.0
_DELAY_S_MAX: Final = 60.0


@value
class _Waiting:
    """A reply that is to be sent, and since when."""

    reply: OutboundMessage
    since_s: float


@value
class _Sent:
    """Replies without all their answers; *is_second*: one alone, after its company was lost."""

    replies: Sequence[_Waiting]
    confirms: PublishConfirms
    publisher: Publisher
    sent_s: float
    is_second: bool = False


class DirectReplies:
    """Sends direct replies: best effort, and one of them at a time once that goes wrong."""

    def __init__(
        self,
        own: StepwisePublisher,
        other: Publisher,
        reporter: Reporter,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Send by *own*, which is connected in `turn`, and by *other* while it cannot be had."""
        self._own = own
        self._other = other
        self._reporter = reporter
        self._now_s = now_s
        self._waiting: deque[_Waiting] = deque()
        self._doubtful: deque[_Waiting] = deque()
        self._sent: list[_Sent] = []
        self._is_slow = False
        self._delay_s = self._try_at_s = 0.0

    @staticmethod
    def is_for(message: OutboundMessage) -> bool:
        """Return whether *message* is a reply by direct reply-to."""
        is_direct = message.outgoing.routing_key.startswith(f"{REPLY_TO}.")
        return message.purpose is Purpose.REPLY and is_direct

    @property
    def is_busy(self) -> bool:
        """Whether `turn` is to be called often."""
        has_some = bool(self._waiting or self._doubtful or self._sent)
        return has_some or self._own.is_connecting

    def wait_s(self, longest_s: float) -> float:
        """Return how long an idle loop may wait until the next `turn`, *longest_s* at most."""
        return min(longest_s, _TICK_S) if self.is_busy else longest_s

    def send(self, replies: Sequence[OutboundMessage]) -> None:
        """Send *replies* as soon as there is a connection for them; never wait, never raise."""
        now_s = self._now_s()
        self._waiting.extend(_Waiting(reply, now_s) for reply in replies)
        if replies:
            self._send_waiting()

    def wait(self) -> None:
        """Wait a moment for the broker to have the replies; not again where it took longer."""
        until_s = self._now_s() + _ANSWER_S
        # What has been read on the way here does not come again.
        self._note_answers()
        while self._own_sent() and not self._is_slow:
            left_s = until_s - self._now_s()
            if left_s <= 0:
                self._is_slow = True
                return
            try:
                self._own.serve(left_s)
            except BrokerFault as fault:
                self._lose(fault)
            self._note_answers()

    def turn(self) -> None:
        """Connect, send and collect answers, as far as that can be done now; never raise."""
        self.pump()
        self._note_answers()
        self._connect()
        self._send_waiting()

    def pump(self) -> None:
        """Service the connection, if there is one."""
        if self._own.is_ready:
            try:
                self._own.pump()
            except BrokerFault as fault:
                self._lose(fault)

    def finish(self, on_slice: Callable[[], None]) -> None:
        """Do as `turn` until all is done, for some seconds at most; raises what *on_slice* does."""
        until_s = self._now_s() + REPLY_TIMEOUT_S
        while self._waiting or self._doubtful or self._sent:
            if self._now_s() > until_s or self._other.blocked:
                return
            on_slice()
            self.turn()
            time.sleep(_TICK_S)

    def close(self) -> None:
        """Close the connection, for others may need it more; never raises.

        Waiting replies are sent once `turn` has reconnected.
        """
        if self._own.is_ready or self._own.is_connecting:
            self._lose(BrokerFault(LOST))

    def drop(self, why: str) -> None:
        """Drop what could not be sent until now."""
        for each in (*self._waiting, *self._doubtful):
            self._drop(each, why)
        self._waiting.clear()
        self._doubtful.clear()

    def _connect(self) -> None:
        own = self._own
        if own.is_ready or not self._other.is_ready:
            return
        try:
            if own.is_connecting:
                if own.step():
                    self._delay_s = 0.0
                    self._reporter.replies_apart()
            elif self._now_s() >= self._try_at_s:
                own.begin()
        except BrokerFault as fault:
            own.close()
            self._delay_s = min(max(_FIRST_DELAY_S, 2 * self._delay_s), _DELAY_S_MAX)
            self._try_at_s = self._now_s() + self._delay_s
            self._reporter.replies_rerouted(str(fault), self._delay_s)

    def _send_waiting(self) -> None:
        if not self._own.is_ready:
            self._reroute()
        elif self._doubtful:
            # One at a time, and nothing else beside.
            if not self._own_sent():
                self._publish(self._own, [self._doubtful.popleft()], is_second=True)
        elif self._waiting:
            waiting = [*self._waiting]
            self._waiting.clear()
            self._publish(self._own, waiting)
        self._expire()

    def _reroute(self) -> None:
        """Send by the other connection what has waited for long enough."""
        if not self._other.is_ready:
            return
        is_crowded = len(self._waiting) > _WAITING_MAX
        before_s = self._now_s() - (0.0 if self._delay_s or is_crowded else _WAIT_S)
        due: list[_Waiting] = []
        while self._waiting and self._waiting[0].since_s <= before_s:
            each = self._waiting.popleft()
            if is_exact(each.reply.outgoing.routing_key):
                due.append(each)
            else:
                self._drop(each, "its address may cost the connection, and there is only one")
        if due:
            self._publish(self._other, due)

    def _publish(
        self, publisher: Publisher, replies: Sequence[_Waiting], *, is_second: bool = False
    ) -> None:
        try:
            confirms = publisher.publish([each.reply.outgoing for each in replies])
        except BrokerFault as fault:
            confirms = PublishConfirms([each.reply.outgoing for each in replies], 1)
            self._sent.append(_Sent(replies, confirms, publisher, self._now_s(), is_second))
            if publisher is self._own:
                self._lose(fault)
            return
        self._sent.append(_Sent(replies, confirms, publisher, self._now_s(), is_second))
        self._note_answers()

    def _own_sent(self) -> list[_Sent]:
        return [each for each in self._sent if each.publisher is self._own]

    def _note_answers(self) -> None:
        """Forget what is answered, or will not be any more."""
        before_s = self._now_s() - REPLY_TIMEOUT_S
        left = []
        for sent in self._sent:
            publisher = sent.publisher
            if not publisher.is_ready:
                sent.confirms.close_all(LOST)
            elif sent.sent_s < before_s and not publisher.blocked:
                sent.confirms.close_all(UNANSWERED)
            if not sent.confirms.done:
                left.append(sent)
                continue
            self._is_slow = UNANSWERED in sent.confirms.failed.values()
            for index, why in sent.confirms.failed.items():
                self._drop(sent.replies[index], why)
        self._sent = left

    def _lose(self, fault: BrokerFault) -> None:
        """Note what was lost with the own connection: the culprit is found one by one."""
        self._own.close()
        lost = self._own_sent()
        self._sent = [each for each in self._sent if each.publisher is not self._own]
        for sent in lost:
            for index, why in sent.confirms.failed.items():
                self._drop(sent.replies[index], why)
            for index in sent.confirms.unanswered:
                if sent.is_second:
                    self._drop(sent.replies[index], str(fault))
                else:
                    self._doubtful.append(sent.replies[index])

    def _expire(self) -> None:
        before_s = self._now_s() - _PATIENCE_S
        for waiting in (self._waiting, self._doubtful):
            while waiting and waiting[0].since_s < before_s and not self._other.blocked:
                self._drop(waiting.popleft(), "no connection for it")

    def _drop(self, waiting: _Waiting, why: str) -> None:
        self._reporter.reply_dropped(waiting.reply.result, why)
