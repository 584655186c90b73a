"""What is measured, part by part: names, systems, orders and conditions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from bench import systems
from bench.orders import Workload
from bench.runs import Case
from bench.systems import System
from bench.world import Conditions

COUNT: Final = 20_000
# What all others are compared with: it is run before each of them.
PIVOT: Final = Case("orderd-200", systems.orderd(200), Workload(COUNT), 5_000)
OUTSIDE_RUN_S: Final = 5.0
ALONE_S: Final = 12.0
CALL_S: Final = 0.02
AWAY_MS: Final = 2.0
LEDGER_ROWS_PER_S: Final = 60_000
PUBLISHED_PER_S: Final = 10_000


@dataclass(frozen=True, slots=True)
class Curve:
    """Cases along one axis, in up to two lines; `unit` is what the numbers on the axis are."""

    name: str
    title: str
    unit: str
    is_logarithmic: bool
    lines: Mapping[str, Mapping[float, Case]]

    @property
    def cases(self) -> list[Case]:
        """All cases, point by point, so that those of one point are neighbours."""
        points = sorted({x for line in self.lines.values() for x in line})
        return [line[x] for x in points for line in self.lines.values() if x in line]


def orderd_cases() -> list[Case]:
    """Return what `make bench` runs beside the pivot."""
    own = systems.orderd(200)
    by_size = [
        _case(f"orderd-{size}", systems.orderd(size), Workload(count), rate)
        for size, count, rate in ((50, 8_000, 2_000), (10, 4_000, 1_200), (1, 800, 250))
    ]
    hot = systems.renamed(own, "all orders on the same 2 products")
    two = systems.renamed(systems.orderd(200, daemons=2), "two daemons")
    ledger = systems.renamed(own, "a ledger of 5,000,000 rows")
    away = systems.renamed(own, "database 2 ms away")
    backlog = systems.renamed(own, "a backlog of 300,000")
    return [
        _case("pgbench", systems.pgbench(), Workload(4_000), 800),
        *by_size,
        _case("orderd-200-hot", hot, Workload(COUNT, is_hot=True), 3_000),
        _case("orderd-200-x2", two, Workload(2 * COUNT), 4_000),
        _case("orderd-200-ledger", ledger, Workload(COUNT), 3_000, Conditions(5_000_000)),
        _case("orderd-200-away", away, Workload(COUNT), 2_500, Conditions(round_trip_ms=AWAY_MS)),
        replace(_case("orderd-200-backlog", backlog, Workload(300_000), 3_000), rounds_max=1),
    ]


def alone_cases() -> list[Case]:
    """Return the workers whose start, idling and calls are measured; `count` is that of calls."""
    plain = systems.plain_pika()
    near, far = Conditions(), Conditions(round_trip_ms=AWAY_MS)
    return [
        _case("orderd", systems.renamed(systems.orderd(), "orderd"), Workload(300), 1, near),
        _case("pika", systems.renamed(plain, "pika + psycopg2"), Workload(300), 1, near),
        _case(
            "orderd-away",
            systems.renamed(systems.orderd(), "orderd, database 2 ms away"),
            Workload(300),
            1,
            far,
        ),
        _case(
            "pika-away",
            systems.renamed(plain, "pika + psycopg2, database 2 ms away"),
            Workload(300),
            1,
            far,
        ),
    ]


def peer_cases() -> list[Case]:
    """Return what `make bench-peers` runs beside the pivot."""
    return [
        _case("pace", systems.pace_setter(200), Workload(COUNT), 6_000),
        _case("pgbench", systems.pgbench(), Workload(4_000), 800),
        _case("pika", systems.plain_pika(), Workload(3_000), 400),
        _case("dramatiq-8", systems.dramatiq(8), Workload(5_000), 900),
        _case("dramatiq-1", systems.dramatiq(1), Workload(3_000), 400),
        _case("celery-2", systems.celery(2), Workload(4_000), 500),
        _case("celery-1", systems.celery(1), Workload(3_000), 300),
        _case("faststream-10", systems.faststream(10), Workload(2_000), 250),
        _case("faststream", systems.faststream(None), Workload(2_000), 250),
    ]


def curves() -> list[Curve]:
    """Return the scaling curves."""
    return [_batch(), _daemons(), _items(), _body(), _ledger(), _sync()]


def seconds(cases: Sequence[Case], rounds: int, *, has_pivot: bool) -> float:
    """Return about how long cases take, each with the pivot before it or not."""
    pivot_s = _seconds(PIVOT) if has_pivot else 0.0
    ledgers = {case.conditions.ledger_rows for case in cases}
    return sum(ledgers) / LEDGER_ROWS_PER_S + sum(
        (_seconds(case) + pivot_s) * min(rounds, case.rounds_max or rounds) for case in cases
    )


def seconds_alone(cases: Sequence[Case], rounds: int) -> float:
    """Return about how long workers with little to do take."""
    return rounds * sum(ALONE_S + case.workload.count * CALL_S for case in cases)


def scaled(case: Case, scale: float) -> Case:
    """Return the case with so many times its orders, for a look at whether all works."""
    count = max(round(case.workload.count * scale), 10)
    return replace(case, workload=replace(case.workload, count=count))


def _seconds(case: Case) -> float:
    copied_s = case.conditions.ledger_rows / LEDGER_ROWS_PER_S / 5
    published_s = case.workload.count / PUBLISHED_PER_S
    return case.workload.count / case.expected_per_s + published_s + OUTSIDE_RUN_S + copied_s


def _case(
    name: str,
    system: System,
    workload: Workload,
    expected_per_s: float,
    conditions: Conditions | None = None,
) -> Case:
    return Case(name, system, workload, expected_per_s, conditions or Conditions())


def _batch() -> Curve:
    counts = {1: 500, 2: 1_000, 5: 2_000, 10: 3_000, 20: 5_000, 50: 10_000}
    sizes = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)
    line = {
        float(size): _case(
            f"batch-{size}",
            systems.orderd(size),
            Workload(counts.get(size, COUNT)),
            min(250 * size, 2_500),
        )
        for size in sizes
    }
    return Curve("batch", "Batch size", "commands a batch at most", True, {"orderd": line})


def _daemons() -> Curve:
    line = {
        float(count): _case(
            f"daemons-{count}", systems.orderd(200, count), Workload(2 * COUNT), 3_500
        )
        for count in (1, 2, 3, 4)
    }
    return Curve("daemons", "Daemons", "daemons on the queue", False, {"orderd": line})


def _items() -> Curve:
    counts = {1: 20_000, 2: 20_000, 5: 15_000, 10: 10_000, 20: 5_000, 50: 3_000, 100: 2_000}
    line = {
        float(items): _case(
            f"items-{items}", systems.orderd(), Workload(count, items=items), 5_000 / (1 + items)
        )
        for items, count in counts.items()
    }
    return Curve("items", "Lines of an order", "lines", True, {"orderd": line})


def _body() -> Curve:
    counts = {200: 20_000, 1_000: 20_000, 10_000: 10_000, 100_000: 3_000}
    line = {
        float(size): _case(
            f"body-{size}", systems.orderd(), Workload(count, body_bytes=size), 1_000
        )
        for size, count in counts.items()
    }
    return Curve("body", "Size of a message", "bytes", True, {"orderd": line})


def _ledger() -> Curve:
    line = {
        float(rows): _case(
            f"ledger-{rows}", systems.orderd(), Workload(COUNT), 3_000, Conditions(rows)
        )
        for rows in (1, 10_000, 100_000, 1_000_000, 5_000_000)
    }
    return Curve("ledger", "Ledger", "rows before the run", True, {"orderd": line})


def _sync() -> Curve:
    delays_ms = (0, 1, 2, 5, 10)
    own = {
        float(delay_ms): _case(
            f"sync-{delay_ms}",
            systems.orderd(),
            Workload(COUNT),
            2_500,
            Conditions(sync_delay_ms=delay_ms),
        )
        for delay_ms in delays_ms
    }
    opponent = {
        float(delay_ms): _case(
            f"sync-{delay_ms}-pgbench",
            systems.pgbench(),
            Workload(1_500),
            500 / (1 + delay_ms),
            Conditions(sync_delay_ms=delay_ms),
        )
        for delay_ms in delays_ms
    }
    lines = {"orderd": own, "pgbench -c 1": opponent}
    return Curve("sync", "Sync of the disk", "ms added to each sync of PostgreSQL", False, lines)
