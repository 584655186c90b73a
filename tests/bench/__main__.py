"""`python -m tests.bench`: measure in interleaved rounds, print medians and spreads."""

import argparse
import os
import sys

from tests.bench.measure import (
    DaemonRound,
    call_latencies_ms,
    daemon_round,
    idle_cpu_percent,
    processors,
    sync_latency_ms,
)
from tests.bench.opponent import MODE, pgbench_round
from tests.bench.report import Measured, summary, table
from tests.bench.world import World, pre_populated

ROUNDS = 5
# Batch size to commands a round: each takes some seconds.
COUNTS = {200: 8_000, 50: 4_000, 10: 2_000, 1: 400}
PGBENCH_S = 4


def main() -> int:
    """Measure and print; never judges."""
    rounds = _options().rounds
    print(f"{rounds} rounds, {processors()} processors, fsync on, persistent messages", flush=True)
    with pre_populated() as world:
        measured = _measure(world, rounds)
    print(
        f"\nMedians (least - greatest) of {rounds} interleaved rounds; an order of two lines each, "
        "with ledger, outbox\nand confirmed events; pgbench has the same statements, one commit an "
        f"order, mode {MODE}, and no broker.\n\n{table(measured)}\n\n{summary(measured)}"
    )
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    default = int(os.environ.get("BENCH_ROUNDS", ROUNDS))
    parser.add_argument(
        "--rounds", type=int, default=default, help="default: BENCH_ROUNDS or %(default)s"
    )
    return parser.parse_args()


def _measure(world: World, rounds: int) -> Measured:
    daemon_rounds: dict[int, list[DaemonRound]] = {batch_max: [] for batch_max in COUNTS}
    pgbench_tps: list[float] = []
    # What the first round meets cold, a daemon that runs for weeks does not.
    daemon_round(world, 200, 2_000)
    for number in range(1, rounds + 1):
        for batch_max, count in COUNTS.items():
            daemon_rounds[batch_max].append(daemon_round(world, batch_max, count))
        pgbench_tps.append(pgbench_round(world, PGBENCH_S))
        print(f"round {number}: {_line(daemon_rounds)}; pgbench {pgbench_tps[-1]:.0f}", flush=True)
    return Measured(
        daemon_rounds,
        pgbench_tps,
        call_latencies_ms(world),
        idle_cpu_percent(world),
        sync_latency_ms(world.servers.scratch),
    )


def _line(rounds: dict[int, list[DaemonRound]]) -> str:
    last = [f"{batch_max}: {done[-1].commands_per_s:.0f}/s" for batch_max, done in rounds.items()]
    return f"orderd, by batch size, {', '.join(last)}"


if __name__ == "__main__":
    sys.exit(main())
