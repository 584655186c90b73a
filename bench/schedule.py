"""In which order cases are run: in rounds, each beside what it is compared with."""

import subprocess
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import psycopg2
from pika.exceptions import AMQPError

from bench import ratios
from bench.alone import alone
from bench.results import Alone, Results, Run
from bench.runs import Case, run
from bench.world import World
from tools.management import ManagementFault
from tools.program import StartFailed
from tools.waiting import NotObserved

Measured = TypeVar("Measured", Run, Alone)

# What one case may meet, and no other has to suffer for.
FAULTS = (
    subprocess.SubprocessError,
    psycopg2.Error,
    AMQPError,
    ManagementFault,
    StartFailed,
    NotObserved,
    OSError,
)


def compared(
    world: World, results: Results, pivot: Case, cases: Sequence[Case], rounds: int
) -> None:
    """Run each case right after the pivot, in as many rounds; with no cases, the pivot alone."""
    earlier = results.rounds
    for number in range(earlier + 1, earlier + rounds + 1):
        print(f"round {number}", flush=True)
        due = [case for case in cases if _is_due(case, number)]
        for case in due:
            neighbour = _kept(results, pivot, partial(run, world, pivot, number, None))
            per_s = neighbour.per_s if neighbour and not neighbour.faults else None
            _kept(results, case, partial(run, world, case, number, per_s))
        if not due:
            _kept(results, pivot, partial(run, world, pivot, number, None))


def in_turn(world: World, results: Results, cases: Sequence[Case], rounds: int) -> None:
    """Run one case after the other, in as many rounds, with nothing between them."""
    earlier = results.rounds
    for number in range(earlier + 1, earlier + rounds + 1):
        print(f"round {number}", flush=True)
        for case in cases:
            _kept(results, case, partial(run, world, case, number, None))


def quietly(world: World, results: Results, cases: Sequence[Case], rounds: int) -> None:
    """Measure workers with little to do, in as many rounds."""
    earlier = results.rounds
    for number in range(earlier + 1, earlier + rounds + 1):
        print(f"round {number}", flush=True)
        for case in cases:
            _kept(results, case, partial(alone, world, case, number))


def _is_due(case: Case, number: int) -> bool:
    return case.rounds_max is None or number <= case.rounds_max


def _kept(results: Results, case: Case, measure: Callable[[], Measured]) -> Measured | None:
    """Return what was measured, kept and printed; None: it could not be measured, and is told."""
    try:
        measured = measure()
    except FAULTS as error:
        print(f"{case.name}: cannot be measured: {error}", flush=True)
        return None
    results.add(measured)
    print(ratios.line_of(measured), flush=True)
    return measured
