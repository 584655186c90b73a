"""One run: fill the queue, start the programs, wait until all is settled, look at the books."""

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from bench import books, machine
from bench.orders import Workload, commands, encoded
from bench.peer_environment import PEERS
from bench.results import RESULTS, Run
from bench.systems import System
from bench.watch import Look, Watch, watching
from bench.world import OLD_ORDERS, Arena, Conditions, World
from tools.program import Program, tail

POLL_S: Final = 0.02
# Without a further order for so long, a run is over and its books are wrong.
STALLED_S: Final = 30.0
SETTLED_WITHIN_S: Final = 30.0
PUBLISHED_WITHIN_S: Final = 600

# Orders of one transaction have one time: what counts is the time from the first to the last, and
# what was done before the last began.
RATE: Final = """
    SELECT coalesce(
        count(*) FILTER (WHERE created_at < latest)
            / nullif(extract(epoch FROM latest - earliest), 0)::float,
        0
    )
    FROM orders, (
        SELECT min(created_at) AS earliest, max(created_at) AS latest FROM orders WHERE id > %(old)s
    ) AS times
    WHERE id > %(old)s
    GROUP BY latest, earliest
"""


@dataclass(frozen=True, slots=True)
class Case:
    """What is measured under a name: a system, with such orders, under such conditions.

    `expected_per_s` is a guess, by which the time of a part is told beforehand. `rounds_max` is for
    what takes too long to be repeated.
    """

    name: str
    system: System
    workload: Workload
    expected_per_s: float
    conditions: Conditions = Conditions()  # noqa: RUF009 - it is frozen
    rounds_max: int | None = None


def run(world: World, case: Case, number: int, neighbour_per_s: float | None) -> Run:
    """Return what one run of *case* in round *number* has measured; it raises where none starts."""
    sync_ms = machine.sync_ms(world.scratch)
    with world.arena(case.conditions) as arena:
        _publish(arena, case.system, case.workload)
        with (
            started(world, arena, case) as programs,
            watching(world, arena, case.system, programs) as watch,
        ):
            first, last, faults = _watched(watch, case)
            rss_mb = sum(machine.peak_rss_mb(each.pid) for each in programs)
        found = arena.query(RATE, old=OLD_ORDERS)
        faults += books.faults(arena, case.system, case.workload, case.conditions.ledger_rows)
    thousands = max(last.committed - first.committed, 1) / 1_000
    worker_s = last.worker_s - first.worker_s
    postgres_s = last.postgres_s - first.postgres_s
    broker_s = last.broker_s - first.broker_s
    others_s = last.busy_s - first.busy_s - worker_s - postgres_s - broker_s
    capacity_s = max((last.at_s - first.at_s) * machine.processors(), 0.001)
    return Run(
        case=case.name,
        round=number,
        count=case.workload.count,
        per_s=float(found[0][0]) if found else 0.0,
        worker_cpu_s=worker_s / thousands,
        postgres_cpu_s=postgres_s / thousands,
        broker_cpu_s=broker_s / thousands,
        rss_mb=rss_mb,
        sync_ms=sync_ms,
        others=max(others_s, 0.0) / capacity_s,
        neighbour_per_s=neighbour_per_s,
        faults=faults,
    )


@contextmanager
def started(world: World, arena: Arena, case: Case) -> Iterator[list[Program]]:
    """Give the running programs of a case; they are asked to end (SIGTERM) at the end."""
    log_path = RESULTS / "log" / f"{case.name}.log"
    log_path.parent.mkdir(parents=True, exist_ok=True)
    log_path.unlink(missing_ok=True)
    programs: list[Program] = []
    try:
        for number in range(case.system.processes):
            program = Program(
                case.system.command(arena, case.workload),
                env=case.system.environment_of(arena, number),
                log_path=log_path,
                cwd=world.scratch,
            )
            programs.append(program)
        yield programs
    finally:
        for each in programs:
            each.end(signal.SIGTERM)


def _publish(arena: Arena, system: System, workload: Workload) -> None:
    if system.publisher is not None:
        lines = "".join(f"{json.dumps(each)}\n" for each in commands(workload))
        subprocess.run(
            [str(PEERS / "bin" / "python"), "-m", system.publisher],
            env=system.environment_of(arena, 0),
            input=lines,
            text=True,
            timeout=PUBLISHED_WITHIN_S,
            check=True,
        )
    elif system.needs_broker:
        arena.publish(encoded(each) for each in commands(workload))


def _watched(watch: Watch, case: Case) -> tuple[Look, Look, list[str]]:
    """Return a look at the first orders and one at the end, and what kept it from going well."""
    first = _first_look(watch)
    moved_s, drawn = time.monotonic(), 0
    while not (drawn >= case.workload.count and watch.committed() >= case.workload.count):
        time.sleep(POLL_S)
        now_drawn = watch.drawn()
        if now_drawn != drawn:
            moved_s, drawn = time.monotonic(), now_drawn
        if time.monotonic() - moved_s > STALLED_S:
            return first, watch.look(), [_stalled(case, "no further order")]
        if case.system.needs_broker and not all(each.is_running for each in watch.programs):
            return first, watch.look(), [_stalled(case, "the program ended")]
    deadline_s = time.monotonic() + SETTLED_WITHIN_S
    while not watch.is_settled(case.workload.count) and time.monotonic() < deadline_s:
        time.sleep(POLL_S)
    return first, watch.look(), []


def _first_look(watch: Watch) -> Look:
    """Return a look as soon as there are orders, or where none come."""
    deadline_s = time.monotonic() + STALLED_S
    look = watch.look()
    while look.committed <= 0 and time.monotonic() < deadline_s:
        time.sleep(POLL_S)
        if watch.drawn() > 0:
            look = watch.look()
    return look


def _stalled(case: Case, what: str) -> str:
    said = tail(RESULTS / "log" / f"{case.name}.log", 1)
    return f"{what}: {said}" if said else what
