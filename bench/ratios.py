"""Medians with spreads, and ratios of runs that were neighbours in time.

Single runs say nothing, and two numbers say nothing about each other that were measured at
different times: what else the machine does changes by the minute.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from bench.results import Alone, Run


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some values, the least and the greatest of them."""

    median: float
    least: float
    greatest: float

    def text(self, form: str = ",.0f") -> str:
        """Return `median (least - greatest)` in that form; only the median where all agree."""
        middle, least, greatest = (
            f"{value:{form}}" for value in (self.median, self.least, self.greatest)
        )
        return middle if least == greatest else f"{middle} ({least} – {greatest})"  # noqa: RUF001


def spread(values: Iterable[float]) -> Spread:
    """Return the spread of at least one value."""
    found = sorted(values)
    return Spread(median(found), found[0], found[-1])


def rates(runs: Iterable[Run]) -> Spread:
    """Return orders a second."""
    return spread(run.per_s for run in runs)


def of_neighbour(runs: Iterable[Run]) -> Spread | None:
    """Return the rate as a part of that of the run just before; None: there was none before any."""
    return _spread(run.per_s / run.neighbour_per_s for run in runs if run.neighbour_per_s)


def neighbour_times(runs: Iterable[Run]) -> Spread | None:
    """Return how many times as fast as this the run just before was; None: there was none."""
    return _spread(
        run.neighbour_per_s / run.per_s for run in runs if run.neighbour_per_s and run.per_s
    )


def used_part(run: Run, cores: int) -> float:
    """Return which part of all cores worker and servers used, by CPU time and rate."""
    return run.per_s * (run.worker_cpu_s + run.postgres_cpu_s + run.broker_cpu_s) / 1_000 / cores


def by_round(
    ours: Sequence[Alone], others: Sequence[Alone], name: str
) -> list[tuple[float, float]]:
    """Return pairs of a number of two workers, of the rounds that have both."""
    found = {each.round: float(getattr(each, name)) for each in others}
    return [(float(getattr(each, name)), found[each.round]) for each in ours if each.round in found]


def line_of(run: Run | Alone) -> str:
    """Return what was measured as a line for a terminal."""
    if isinstance(run, Alone):
        return (
            f"{run.case:24} start {run.start_ms:.0f} ms, idle {run.idle_percent:.1f} %, "
            f"call p50 {run.p50_ms:.1f} ms, p99 {run.p99_ms:.1f} ms"
        )
    parts = [
        f"{run.case:24} {run.per_s:8,.0f}/s",
        f"CPU-s per 1,000: worker {run.worker_cpu_s:.3f}",
        f"PostgreSQL {run.postgres_cpu_s:.3f}",
        f"RabbitMQ {run.broker_cpu_s:.3f}",
        f"RSS {run.rss_mb:.0f} MB",
        f"others {run.others:.0%}",
    ]
    if run.neighbour_per_s:
        parts.insert(1, f"{run.per_s / run.neighbour_per_s:.2f} × neighbour")  # noqa: RUF001
    if run.faults:
        parts.append(f"WRONG: {'; '.join(run.faults)}")
    return ", ".join(parts)


def _spread(values: Iterable[float]) -> Spread | None:
    found = list(values)
    return spread(found) if found else None
