"""`python -m bench PART`: measure a part, install the peers, or render what was measured.

Measuring never judges: it exits with 0 whatever the numbers are.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence

from bench import page, parts, peer_environment, schedule
from bench.described import describe
from bench.results import Results
from bench.runs import Case, run
from bench.systems import obstacle
from bench.world import World, private_world
from tools.broker import ServerRefused
from tools.program import StartFailed

ROUNDS = {"orderd": 5, "alone": 5, "peers": 5, "curves": 3}
COMPARED = ("orderd", "peers")
# What the first run meets cold, a daemon that runs for weeks does not.
WARM_UP = 0.1


def main() -> int:
    """Run one part; 1: nothing can be measured here, 130: interrupted."""
    options = _options()
    if options.part == "install":
        peer_environment.install()
        return 0
    if options.part == "report":
        for path in page.write():
            print(path)
        return 0
    rounds = options.rounds or ROUNDS[options.part]
    plans = _plans(options.part, options.only, options.scale)
    _announce(plans, rounds, options.part)
    try:
        with private_world() as world:
            run(world, parts.scaled(parts.PIVOT, WARM_UP), 0, None)
            for name, cases in plans.items():
                describe(world, name)
                results = Results(name)
                if not options.append:
                    results.begin()
                _measure(world, results, cases, rounds, options)
    except (ServerRefused, StartFailed) as refused:
        print(refused, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; what was measured so far is kept", file=sys.stderr)
        return 130
    print("python -m bench report renders what was measured into docs/explanation/performance.md")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("part", choices=(*ROUNDS, "install", "report"))
    parser.add_argument("--rounds", type=int, help=f"default: {ROUNDS}")
    parser.add_argument(
        "--only",
        type=lambda text: frozenset(filter(None, text.split(","))),
        default=frozenset(),
        metavar="NAME,...",
        help="only these cases (or curves); default: all",
    )
    parser.add_argument(
        "--append", action="store_true", help="add rounds to what was measured before"
    )
    parser.add_argument(
        "--scale", type=float, default=1.0, help="so many times the orders; default: 1"
    )
    options = parser.parse_args()
    names = _names(options.part)
    if unknown := options.only - names:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(sorted(names))}")
    return options


def _names(part: str) -> set[str]:
    if part == "curves":
        return {curve.name for curve in parts.curves()}
    pivot = {parts.PIVOT.name} if part in COMPARED else set()
    return {case.name for case in _cases(part)} | pivot


def _cases(part: str) -> list[Case]:
    match part:
        case "orderd":
            return parts.orderd_cases()
        case "alone":
            return parts.alone_cases()
        case "peers":
            return parts.peer_cases()
    return []


def _plans(part: str, only: frozenset[str], scale: float) -> dict[str, list[Case]]:
    """Return the cases to run by the file that keeps them."""
    if part == "curves":
        found = {
            f"curve-{curve.name}": curve.cases
            for curve in parts.curves()
            if not only or curve.name in only
        }
    else:
        found = {part: [case for case in _cases(part) if not only or case.name in only]}
    return {
        name: [parts.scaled(case, scale) for case in cases if _can_be_measured(case)]
        for name, cases in found.items()
    }


def _can_be_measured(case: Case) -> bool:
    reason = obstacle(case.system)
    if reason is not None:
        print(f"{case.name}: left out: {reason}", flush=True)
    return reason is None


def _announce(plans: Mapping[str, Sequence[Case]], rounds: int, part: str) -> None:
    total_s = 0.0
    for name, cases in plans.items():
        if part == "alone":
            took_s = parts.seconds_alone(cases, rounds)
        else:
            took_s = parts.seconds(cases, rounds, has_pivot=part in COMPARED)
        total_s += took_s
        print(f"{name}: {len(cases)} cases, {rounds} rounds, about {took_s / 60:.0f} min")
    print(f"all together about {total_s / 60:.0f} min", flush=True)


def _measure(
    world: World, results: Results, cases: Sequence[Case], rounds: int, options: argparse.Namespace
) -> None:
    if options.part == "alone":
        schedule.quietly(world, results, cases, rounds)
    elif options.part == "curves":
        schedule.in_turn(world, results, cases, rounds)
    else:
        pivot = parts.scaled(parts.PIVOT, options.scale)
        schedule.compared(world, results, pivot, cases, rounds)


if __name__ == "__main__":
    sys.exit(main())
