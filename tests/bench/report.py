"""What was measured, as text for a terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from tests.bench.measure import DaemonRound


@dataclass(frozen=True, slots=True)
class Measured:
    """All numbers of a run; `rounds` by batch size, in the order in which they were measured."""

    rounds: Mapping[int, Sequence[DaemonRound]]
    pgbench_tps: Sequence[float]
    latencies_ms: Sequence[float]
    idle_cpu_percent: float
    sync_latency_ms: float


def spread(values: Sequence[float], form: str = ".0f") -> str:
    """Return median, least and greatest: single runs say nothing."""
    return f"{median(values):{form}} ({min(values):{form}} - {max(values):{form}})"


def table(measured: Measured) -> str:
    """Return one line for each batch size; every ratio is that of two neighbouring runs."""
    lines = [
        f"{'':28}{'commands/s':>24}{'x pgbench -c 1':>22}{'CPU-s per 1,000':>24}{'RSS MB':>8}",
        f"{'pgbench -c 1':28}{spread(measured.pgbench_tps):>24}",
    ]
    for batch_max, rounds in measured.rounds.items():
        rates = [one.commands_per_s for one in rounds]
        ratios = [rate / tps for rate, tps in zip(rates, measured.pgbench_tps, strict=True)]
        cpu = [one.cpu_s_per_1000 for one in rounds]
        rss_mb = max(one.rss_mb for one in rounds)
        lines.append(
            f"{f'orderd, batches up to {batch_max}':28}{spread(rates):>24}"
            f"{spread(ratios, '.1f'):>22}{spread(cpu, '.3f'):>24}{rss_mb:>8.1f}"
        )
    return "\n".join(lines)


def summary(measured: Measured) -> str:
    """Return the numbers that do not depend on the batch size."""
    starts_s = [one.start_s for rounds in measured.rounds.values() for one in rounds]
    calls = measured.latencies_ms
    p95_ms = calls[int(len(calls) * 0.95)]
    return (
        f"one sync of the disk     {measured.sync_latency_ms:.2f} ms: the longer, the more a batch "
        "gains on one commit each\n"
        f"start-up to consuming   {spread(starts_s, '.2f')} s\n"
        f"idle CPU                {measured.idle_cpu_percent:.2f} % of a core\n"
        f"a call alone            {median(calls):.1f} ms median, {p95_ms:.1f} ms at 95 %, "
        f"{calls[-1]:.1f} ms longest"
    )
