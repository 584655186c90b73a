"""Retries and dead letters that the broker refused: kept, with their deliveries, and sent again."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

from orderd.pipeline.outbound import OutboundMessage
from orderd.pipeline.oversize import truncated
from orderd.pipeline.report import Reporter

_FIRST_DELAY_S: Final = 1.0
DELAY_S_MAX: Final = 60.0
# A broker takes a channel away whose deliveries stay unacked for 30 min; before, they are its own
# again, for another daemon to try.
PATIENCE_S: Final = 600.0


@dataclass(slots=True)
class _Target:
    """What waits for one queue, and since when it refuses."""

    refused_at_s: float
    delay_s: float = 0.0
    due_s: float = 0.0
    waiting: list[OutboundMessage] = field(default_factory=list)


class HeldBack:
    """Messages that must go, waiting for queues that refuse them.

    Each queue has a back-off of its own, doubling from a second to a minute. While it lasts,
    nothing is sent there: `hold` takes what comes to that.
    """

    def __init__(self, reporter: Reporter, now_s: Callable[[], float] = time.monotonic) -> None:
        """Start with nothing that waits; *reporter* is told what is held back."""
        self._reporter = reporter
        self._now_s = now_s
        self._targets: dict[str, _Target] = {}

    def __len__(self) -> int:
        """Return how many messages wait."""
        return sum(len(target.waiting) for target in self._targets.values())

    def __iter__(self) -> Iterator[OutboundMessage]:
        """Yield all that waits."""
        return chain.from_iterable(target.waiting for target in self._targets.values())

    def refuse(self, refused: Mapping[OutboundMessage, str]) -> None:
        """Keep the messages that were *refused*, each with the reason; too large ones truncated."""
        queues: dict[str, list[OutboundMessage]] = {}
        reasons: dict[str, str] = {}
        for message, why in refused.items():
            short = truncated(message, why)
            if short is not None:
                self._reporter.truncated(message.result, len(short.outgoing.body))
            queues.setdefault(message.queue, []).append(short or message)
            reasons.setdefault(message.queue, why)
        for queue, messages in queues.items():
            delay_s = self._back_off(queue, messages)
            self._reporter.held_back(queue, len(messages), reasons[queue], delay_s)

    def hold(self, message: OutboundMessage) -> bool:
        """Keep *message* too where its queue is known to refuse; return whether it does."""
        target = self._targets.get(message.queue)
        if target is None or self._now_s() >= target.due_s:
            return False
        target.waiting.append(message)
        return True

    def accept(self, queues: Iterable[str]) -> None:
        """Forget that these *queues* ever refused: they have taken something."""
        for queue in queues:
            target = self._targets.get(queue)
            if target is not None and not target.waiting:
                del self._targets[queue]

    def take_due(self) -> list[OutboundMessage]:
        """Return, once, what is to be sent again by now."""
        now_s = self._now_s()
        return self._take(target for target in self._targets.values() if now_s >= target.due_s)

    def take_overdue(self) -> list[OutboundMessage]:
        """Return, once, what waits for queues that have refused for too long."""
        before_s = self._now_s() - PATIENCE_S
        overdue = [each for each in self._targets.values() if each.refused_at_s <= before_s]
        for target in overdue:
            target.refused_at_s = self._now_s()
        return self._take(overdue)

    def clear(self) -> None:
        """Forget all: the connection that could ack the deliveries is gone."""
        for target in self._targets.values():
            target.waiting.clear()

    def _back_off(self, queue: str, messages: Sequence[OutboundMessage]) -> float:
        """Keep *messages*, which *queue* has refused; return in how many seconds they are due."""
        now_s = self._now_s()
        target = self._targets.setdefault(queue, _Target(now_s))
        target.waiting.extend(messages)
        target.delay_s = min(max(_FIRST_DELAY_S, 2 * target.delay_s), DELAY_S_MAX)
        target.due_s = now_s + target.delay_s
        return target.delay_s

    @staticmethod
    def _take(targets: Iterable[_Target]) -> list[OutboundMessage]:
        taken: list[OutboundMessage] = []
        for target in targets:
            taken.extend(target.waiting)
            target.waiting = []
        return taken
