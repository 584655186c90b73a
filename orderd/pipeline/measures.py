"""What the pipeline counts and times, by the labels of its metrics.

Each combination of labels that can occur is there from the start, at 0: a rate over a counter that
appears with its first value misses that one. No label has a text that a message chose.
"""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

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
)
from orderd.protocol.names import (
    POISON,
    RETRIES_EXHAUSTED,
    DeferralCode,
    InvalidCode,
    OutcomeName,
    Queue,
    RefusalCode,
    UnavailableCode,
)
from orderd.runtime.histogram import Histogram
from orderd.shop.entity import Action, Entity, refusal_event
from orderd.shop.registry import SHOP, actions_of

# A producer's clock may be wrong: a message that is older, or from the future, counts from its
# arrival.
_OLDEST_S = 30 * 86_400.0
_AHEAD_S = 1.0


class Measures:
    """Counters and histograms of one daemon, since its start."""

    def __init__(self) -> None:
        """Begin with everything at 0."""
        self.messages = Counter(dict.fromkeys(_all_messages(), 0))
        self.batches = 0
        self.batch_messages = Histogram(BATCH_MESSAGES.buckets)
        self.phases = {str(phase): Histogram(BATCH_PHASES.buckets) for phase in BatchPhase}
        self.critical = {str(queue): Histogram(CRITICAL_TIME.buckets) for queue in Queue}
        types = [event for entity in SHOP.entities for event in _events_of(entity)]
        self.events = EventCounts(types)
        self.retries = Counter(_by_queue((*DeferralCode, NO_CODE)))
        self.dead_letters = Counter(_by_queue((*InvalidCode, RETRIES_EXHAUSTED, POISON)))

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


def _all_messages() -> Iterator[tuple[str, str, str, str]]:
    for entity in SHOP.entities:
        queue = str(entity.queue)
        for action in actions_of(entity):
            for outcome, codes in _outcomes_of(action):
                for code in codes:
                    yield queue, action.name, str(outcome), str(code)
        for outcome, codes in ((OutcomeName.INVALID, [*InvalidCode]), _QUARANTINED):
            for code in codes:
                yield queue, OTHER, str(outcome), str(code)


_QUARANTINED = (OutcomeName.QUARANTINED, [NO_CODE])


def _outcomes_of(action: Action[Any]) -> Iterator[tuple[OutcomeName, Iterable[str]]]:
    """Yield how messages with *action* can end, each with the codes of it."""
    refusals = [*RefusalCode, *(code for entity in SHOP.entities for code in entity.refusals)]
    yield OutcomeName.REFUSED, refusals
    yield OutcomeName.DEFERRED, [*DeferralCode, NO_CODE]
    yield _QUARANTINED
    if action.is_change:
        yield OutcomeName.APPLIED, [NO_CODE]
        yield OutcomeName.DUPLICATE, [NO_CODE]
        yield OutcomeName.INVALID, [InvalidCode.INVALID_DATA, InvalidCode.ID_CONFLICT]
    else:
        yield OutcomeName.ANSWERED, [NO_CODE]
        yield OutcomeName.UNAVAILABLE, [*UnavailableCode]
        yield OutcomeName.INVALID, [InvalidCode.INVALID_DATA]


def _events_of(entity: Entity) -> list[str]:
    return sorted({*map(str, entity.events), refusal_event(entity.queue)})


def _by_queue(codes: Iterable[str]) -> dict[tuple[str, str], int]:
    return {(str(queue), str(code)): 0 for queue in Queue for code in codes}
