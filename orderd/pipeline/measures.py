"""What the pipeline counts and times, by the labels of its metrics.

Each combination of labels that can occur is there from the start, at 0: a rate over a counter that
appears with its first value misses that one. No label has a text that a message chose.
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence

from orderd.amqp.message import Delivery
from orderd.pipeline.outbox.event_counts import EventCounts
from orderd.pipeline.results import Result
from orderd.protocol.metrics import (
    BATCH_MESSAGES,
    BATCH_PHASES,
    CRITICAL_TIME,
    NO_CODE,
    OTHER,
    BatchPhase,
    UnsentReason,
)
from orderd.protocol.names import OutcomeName
from orderd.protocol.values import value
from orderd.runtime.histogram import Histogram

# A producer's clock may be wrong: a message that is older, or from the future, counts from its
# arrival.
_OLDEST_S = 30 * 86_400.0
_AHEAD_S = 1.0


@value
class Labels:
    """The values that the labels of a daemon's metrics can have.

    `messages` are of queue, action, outcome and code; `events` are types, those of the system
    left out; `retries` and `dead_letters` are codes.
    """

    queues: tuple[str, ...]
    messages: tuple[tuple[str, str, str, str], ...]
    events: tuple[str, ...]
    retries: tuple[str, ...]
    dead_letters: tuple[str, ...]


class Measures:
    """Counters and histograms of one daemon, since its start."""

    def __init__(self, labels: Labels) -> None:
        """Begin with everything at 0."""
        self.queues = labels.queues
        self.messages = Counter(dict.fromkeys(labels.messages, 0))
        self.batches = 0
        self.batch_messages = Histogram(BATCH_MESSAGES.buckets)
        self.phases = {str(phase): Histogram(BATCH_PHASES.buckets) for phase in BatchPhase}
        self.critical = {queue: Histogram(CRITICAL_TIME.buckets) for queue in labels.queues}
        self.events = EventCounts(labels.events)
        self.replies_unsent = Counter({str(reason): 0 for reason in UnsentReason})
        self.retries = Counter(_by_queue(labels.queues, labels.retries))
        self.dead_letters = Counter(_by_queue(labels.queues, labels.dead_letters))

    def count(self, results: Sequence[Result]) -> None:
        """Count *results*, which have their outcome now."""
        now_s = time.time()
        for result in results:
            outcome, queue = result.outcome.name, str(result.delivery.queue)
            self.messages[queue, action_of(result), str(outcome), code_of(result)] += 1
            if outcome is not OutcomeName.DEFERRED:
                self.critical[queue].observe(_age_s(result.delivery, now_s))

    def batch(self, size: int) -> None:
        """Count a batch of so many messages."""
        self.batches += 1
        self.batch_messages.observe(size)

    def stopwatch(self, ahead_s: float = 0.0) -> "Stopwatch":
        """Return what times phases of a batch from now on; *ahead_s* count for the first one."""
        return Stopwatch(self.phases, time.perf_counter() - ahead_s)


class Stopwatch:
    """Times the phases of a batch that follow each other."""

    __slots__ = ("_phases", "_since_s")

    def __init__(self, phases: Mapping[str, Histogram], since_s: float) -> None:
        self._phases = phases
        self._since_s = since_s

    def end(self, phase: BatchPhase) -> None:
        """Count the time since the end of the phase before for *phase*."""
        now_s = time.perf_counter()
        self._phases[phase].observe(now_s - self._since_s)
        self._since_s = now_s


def action_of(result: Result) -> str:
    """Return the action of the result's message, if its queue has it."""
    if result.command is not None:
        return result.command.action
    return getattr(result.outcome, "action", "") or OTHER


def code_of(result: Result) -> str:
    """Return the code of the result's outcome, an empty text where it has none."""
    return str(getattr(result.outcome, "code", NO_CODE))


def _age_s(delivery: Delivery, now_s: float) -> float:
    published_s = delivery.properties.timestamp
    if published_s is not None and -_AHEAD_S <= now_s - published_s <= _OLDEST_S:
        return max(0.0, now_s - published_s)
    return max(0.0, now_s - delivery.received_s)


def _by_queue(queues: Sequence[str], codes: Sequence[str]) -> dict[tuple[str, str], int]:
    return {(queue, code): 0 for queue in queues for code in codes}
