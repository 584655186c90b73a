"""How much was done: since the start, and in the last seconds."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from orderd.logs.logger import LogEvent, emit
from orderd.pipeline.measures import Measures
from orderd.pipeline.results import Result


class Stats:
    """How many deliveries came to which outcome since the start, and how fast they come now."""

    def __init__(self, measures: Measures, now_s: Callable[[], float] = time.monotonic) -> None:
        """Start at zero; *measures* have the same by the labels of metrics.

        `committed_s` is when results of commands were last given, on the clock *now_s*.
        """
        self.measures = measures
        self._outcomes: Counter[str] = Counter()
        self._commands = 0
        self.committed_s: float | None = None
        self._last = ""
        self._now_s = now_s
        self._counted_s = self._looked_s = now_s()
        self._looked_at = 0

    @property
    def settled(self) -> int:
        """How many deliveries were settled."""
        return self._outcomes.total()

    def count(self, results: Sequence[Result]) -> None:
        """Add *results*."""
        self._counted_s = self._now_s()
        self.measures.count(results)
        commands = sum(result.command is not None for result in results)
        if commands:
            self._commands += commands
            self.committed_s = self._counted_s
        names = [result.outcome.name for result in results]
        self._outcomes.update(names)
        self._last = names[-1] if names else self._last

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Log how many commands were counted in the block, and how long they took."""
        started_s, before = self._now_s(), self._commands
        try:
            yield
        finally:
            if size := self._commands - before:
                self.measures.batch(size)
                _log_batch(size, (self._counted_s - started_s) * 1_000)

    def brief(self) -> str:
        """Return rate since the last call, total and last outcome, as one short line."""
        now_s = self._now_s()
        total = self._outcomes.total()
        passed_s = max(now_s - self._looked_s, 0.001)
        rate = (total - self._looked_at) / passed_s
        self._looked_s, self._looked_at = now_s, total
        # A command now and then is not nothing.
        pace = f"{rate:.0f}/s" if rate >= 1 else f"{rate:.1f}/s" if rate else "idle"
        return f"{pace}, {total} settled{f', last {self._last}' if self._last else ''}"

    def __str__(self) -> str:
        """Return the counts as one line."""
        return ", ".join(f"{n} {outcome}" for outcome, n in self._outcomes.items()) or "nothing yet"


def _log_batch(size: int, duration_ms: float) -> None:
    text = f"committed {size} command{'s' * (size != 1)} in {duration_ms:.0f} ms"
    emit(LogEvent.BATCH_COMMITTED, text, batch_size=size, duration_ms=round(duration_ms, 1))
