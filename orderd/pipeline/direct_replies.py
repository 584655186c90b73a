"""Replies through the broker's direct reply-to, on a connection that may be lost for them.

A caller can make up an address on which the broker closes the publisher's connection (541). So
these replies have a connection of their own: what one of them breaks is theirs alone. Nobody waits
for it: while it cannot be had, replies go by the publishing connection. An address of which it is
not known that the broker survives it is tried alone, and behind all others.
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
from orderd.pipeline.held_replies import SentReplies, WaitingReply
from orderd.pipeline.outbound import OutboundMessage, Purpose
from orderd.pipeline.reply_trials import ReplyTrials
from orderd.pipeline.report import Reporter

# Confirms of a healthy broker are here much sooner.
_ANSWER_S: Final = 0.25
REPLY_TIMEOUT_S: Final = 5.0
# Replies that have waited so long for their connection go by the other one.
_WAIT_S: Final = 1.0
_WAITING_MAX: Final = 1_000
# Of all replies that are not confirmed; those of a batch are confirmed before the next is sent.
_HELD_BYTES_MAX: Final = 32 << 20
# Replies to unknown addresses that wait for their trial.
_TRIALS_MAX: Final = 50
# A caller has given up by then.
_PATIENCE_S: Final = 30.0
_TICK_S: Final = 0.02
_FIRST_DELAY_S: Final = 1.0
_DELAY_S_MAX: Final = 60.0


class DirectReplies:
    """Sends direct replies, best effort: those to known addresses at once, others on trial."""

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
        self._trials = ReplyTrials(now_s)
        self._waiting: deque[WaitingReply] = deque()
        self._doubtful: deque[WaitingReply] = deque()
        self._sent: list[SentReplies] = []
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
        return self._has_work or self._own.is_connecting

    @property
    def _has_work(self) -> bool:
        is_trying = bool(self._doubtful) and self._trials.may_try
        return bool(self._waiting or self._sent) or is_trying

    def wait_s(self, longest_s: float) -> float:
        """Return how long an idle loop may wait until the next `turn`, *longest_s* at most."""
        return min(longest_s, _TICK_S) if self.is_busy else longest_s

    def send(self, replies: Sequence[OutboundMessage]) -> None:
        """Send *replies* as soon as there is a connection for them; never wait, never raise."""
        now_s = self._now_s()
        held_bytes = self._held_bytes() if replies else 0
        for each in (WaitingReply(reply, now_s) for reply in replies):
            held_bytes += each.size_bytes
            if not is_exact(each.reply.outgoing.routing_key):
                self._drop(each, "not an address of direct reply-to")
            elif held_bytes > _HELD_BYTES_MAX:
                self._drop(each, "too many replies are unconfirmed")
            else:
                self._waiting.append(each)
        if replies:
            self._send_waiting()

    def wait(self) -> None:
        """Wait a moment for the broker to have the replies; not again where it took longer."""
        until_s = self._now_s() + _ANSWER_S
        # What has been read on the way here does not come again.
        self._note_answers()
        while not self._is_slow and any(not sent.is_trial for sent in self._own_sent()):
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
        while self._has_work:
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
        for publisher in (self._own, self._other):
            self._trials.learn(publisher.own_family)
        if not self._own.is_ready:
            self._reroute()
        else:
            self._send_known()
            if self._doubtful and self._trials.may_try and not self._own_sent():
                self._publish(self._own, [self._doubtful.popleft()], is_trial=True)
        self._expire()

    def _send_known(self) -> None:
        """Send what goes to known addresses; the rest has to wait for its trial."""
        known = []
        for each in self._waiting:
            if self._trials.is_known(each.reply.outgoing.routing_key):
                known.append(each)
            elif len(self._doubtful) < _TRIALS_MAX:
                self._doubtful.append(each)
            else:
                self._drop(each, "too many unknown addresses")
        self._waiting.clear()
        if known:
            self._publish(self._own, known)

    def _reroute(self) -> None:
        """Send by the other connection what has waited for long enough."""
        if not self._other.is_ready:
            return
        is_crowded = len(self._waiting) > _WAITING_MAX
        before_s = self._now_s() - (0.0 if self._delay_s or is_crowded else _WAIT_S)
        due: list[WaitingReply] = []
        while self._waiting and self._waiting[0].since_s <= before_s:
            each = self._waiting.popleft()
            if self._trials.is_known(each.reply.outgoing.routing_key):
                due.append(each)
            else:
                self._drop(each, "its address may cost the connection, and there is only one")
        if due:
            self._publish(self._other, due)

    def _publish(
        self, publisher: Publisher, replies: Sequence[WaitingReply], *, is_trial: bool = False
    ) -> None:
        try:
            confirms = publisher.publish([each.reply.outgoing for each in replies])
        except BrokerFault as fault:
            confirms = PublishConfirms([each.reply.outgoing for each in replies], 1)
            self._sent.append(SentReplies(replies, confirms, publisher, self._now_s(), is_trial))
            if publisher is self._own:
                self._lose(fault)
            return
        self._sent.append(SentReplies(replies, confirms, publisher, self._now_s(), is_trial))
        self._note_answers()

    def _own_sent(self) -> list[SentReplies]:
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
            if sent.is_trial and {LOST, UNANSWERED}.isdisjoint(sent.confirms.failed.values()):
                self._trials.survived(sent.replies[0].reply.outgoing.routing_key)
                self._release_known()
            for index, why in sent.confirms.failed.items():
                self._drop(sent.replies[index], why)
        self._sent = left

    def _lose(self, fault: BrokerFault) -> None:
        """Note what was lost with the own connection: by its trial, or else each is tried alone."""
        self._own.close()
        lost = self._own_sent()
        self._sent = [each for each in self._sent if each.publisher is not self._own]
        has_culprit = any(sent.is_trial and sent.confirms.outstanding for sent in lost)
        for sent in lost:
            for index, why in sent.confirms.failed.items():
                self._drop(sent.replies[index], why)
            unanswered = [sent.replies[index] for index in sent.confirms.unanswered]
            if sent.is_trial:
                for each in unanswered:
                    self._trials.lost(each.reply.outgoing.routing_key)
                    self._drop(each, str(fault))
            elif has_culprit:
                self._waiting.extend(unanswered)
            else:
                self._trials.doubt([each.reply.outgoing.routing_key for each in unanswered])
                self._doubtful.extend(unanswered)

    def _release_known(self) -> None:
        """Let go those whose addresses are known by now; those that were lost once stay."""
        doubtful, self._doubtful = self._doubtful, deque()
        for each in doubtful:
            is_known = self._trials.is_known(each.reply.outgoing.routing_key)
            (self._waiting if is_known else self._doubtful).append(each)

    def _held_bytes(self) -> int:
        sent = (sent.replies[index] for sent in self._sent for index in sent.confirms.unanswered)
        return sum(each.size_bytes for each in (*self._waiting, *self._doubtful, *sent))

    def _expire(self) -> None:
        before_s = self._now_s() - _PATIENCE_S
        for waiting in (self._waiting, self._doubtful):
            while waiting and waiting[0].since_s < before_s and not self._other.blocked:
                self._drop(waiting.popleft(), "no connection for it")

    def _drop(self, waiting: WaitingReply, why: str) -> None:
        self._reporter.reply_dropped(waiting.reply.result, why)
