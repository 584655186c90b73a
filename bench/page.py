"""Puts what was measured into docs/explanation/performance.md, and the charts beside it.

The page has places for it: between `<!-- bench: NAME -->` and `<!-- bench: end -->`. A place for
which nothing was measured stays as it is.
"""

import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from bench import charts, parts, ratios, tables
from bench.charts import Bar
from bench.described import description
from bench.ratios import spread
from bench.results import RESULTS, Alone, Results, Run
from bench.runs import Case

TREE = Path(__file__).parents[1]
PAGE = Path("docs/explanation/performance.md")
COLUMNS_MAX = 110
PLACE = re.compile(r"(?ms)^<!-- bench: (?!end)([\w-]+) -->\n.*?^<!-- bench: end -->\n")


def write(tree: Path = TREE, results: Path = RESULTS) -> list[Path]:
    """Render everything that was measured; return the files that were written."""
    page = tree / PAGE
    page.write_text(filled(page.read_text(encoding="utf-8"), blocks(results)), encoding="utf-8")
    written = [page]
    for name, picture in pictures(results).items():
        path = page.parent / name
        path.write_text(picture, encoding="utf-8")
        written.append(path)
    return written


def filled(page: str, found: Mapping[str, str]) -> str:
    """Return the page with each block at its place; KeyError: a block has no place."""
    places = {match[1] for match in PLACE.finditer(page)}
    if missing := found.keys() - places:
        raise KeyError(f"no place in the page for {', '.join(sorted(missing))}")

    def block(match: re.Match[str]) -> str:
        if match[1] not in found:
            return match[0]
        return f"<!-- bench: {match[1]} -->\n\n{found[match[1]]}\n\n<!-- bench: end -->\n"

    return PLACE.sub(block, page)


def blocks(folder: Path) -> dict[str, str]:
    """Return the text of each block for which something was measured."""
    found = {}
    if runs := Results("orderd", folder).runs():
        cases = [parts.PIVOT, *parts.orderd_cases()]
        table, conditions = tables.variants(cases, runs), _conditions(runs, "orderd", folder)
        found["orderd"] = "\n\n".join([table, *_sentences(runs, folder), conditions])
    if measured := Results("alone", folder).alone():
        table = tables.alone(parts.alone_cases(), measured)
        found["alone"] = f"{table}\n\n{_compared(measured)}"
    if runs := Results("peers", folder).runs():
        cases = [parts.PIVOT, *parts.peer_cases()]
        picture = "![Orders a second of all systems](peers.svg)"
        found["peers"] = (
            f"{picture}\n\n{tables.peers(cases, runs)}\n\n{_conditions(runs, 'peers', folder)}"
        )
    shown = [curve for curve in parts.curves() if Results(f"curve-{curve.name}", folder).runs()]
    if shown:
        images = [f"![{curve.title}](curve-{curve.name}.svg)" for curve in shown]
        runs = [run for curve in shown for run in Results(f"curve-{curve.name}", folder).runs()]
        wrong = [
            f"- `{name}`: {fault}"
            for name, own in tables.by_case(runs).items()
            if (fault := tables.wrong(own))
        ]
        conditions = _conditions(runs, f"curve-{shown[0].name}", folder)
        found["curves"] = "\n\n".join(["\n".join(images), *wrong, conditions])
    return found


def pictures(folder: Path) -> dict[str, str]:
    """Return the charts by file name; what is wrong is in none of them."""
    found = {}
    if runs := Results("peers", folder).runs():
        found["peers.svg"] = charts.bars("Orders a second", _bars(runs))
    for curve in parts.curves():
        own = tables.by_case(Results(f"curve-{curve.name}", folder).runs())
        lines = {
            name: {
                x: ratios.rates(own[case.name])
                for x, case in points.items()
                if own.get(case.name) and tables.wrong(own[case.name]) is None
            }
            for name, points in curve.lines.items()
        }
        lines = {name: points for name, points in lines.items() if points}
        if lines:
            found[f"curve-{curve.name}.svg"] = charts.curve(
                curve.title, curve.unit, lines, is_logarithmic=curve.is_logarithmic
            )
    return found


def _bars(runs: Sequence[Run]) -> list[Bar]:
    found = tables.by_case(runs)
    cases: list[Case] = [parts.PIVOT, *parts.peer_cases()]
    rows = [
        Bar(case.system.label, ratios.rates(found[case.name]), case is cases[0])
        for case in cases
        if case.name in found and tables.wrong(found[case.name]) is None
    ]
    return sorted(rows, key=lambda row: -row.rate.median)


def _conditions(runs: Sequence[Run], part: str, folder: Path) -> str:
    """Return on what, how often and beside what else it was measured."""
    machine = description(part, folder)
    rounds = max(run.round for run in runs)
    sync = spread(run.sync_ms for run in runs).text(".2f")
    others = median(run.others for run in runs)
    peers = _versions(machine) if part == "peers" else ""
    return _wrapped(
        f"{machine['processors']} cores, RabbitMQ {machine['rabbitmq']}, PostgreSQL "
        f"{machine['postgresql']}, Python {machine['python']}, pika {machine['pika']}, measured on "
        f"{machine['date']}: medians (least – greatest) of {rounds} "  # noqa: RUF001
        f"round{'s' if rounds > 1 else ''}. One sync of the disk took {sync} ms. Other programs "
        f"took {others:.0%} of the cores, the measuring program included.{peers}"
    )


def _sentences(runs: Sequence[Run], folder: Path) -> list[str]:
    """Return what the table leads to: the ratio to pgbench, and what two daemons make of it."""
    found = tables.by_case(runs)
    said = []
    if times := ratios.neighbour_times(found.get("pgbench", [])):
        said.append(f"orderd is {times.text('.1f')} times as fast as `pgbench -c 1`.")
    if two := found.get("orderd-200-x2"):
        cores = int(description("orderd", folder)["processors"])
        part = spread(ratios.used_part(run, cores) for run in two)
        said.append(
            f"Two daemons and their servers use {part.text('.0%')} of the CPU time that {cores} "
            "cores have."
        )
    return [_wrapped(" ".join(said))] if said else []


def _versions(machine: Mapping[str, Any]) -> str:
    named = [f"{name} {version}" for name, version in sorted(machine["peers"].items())]
    return f" Peers: {', '.join(named)}." if named else ""


def _compared(measured: Sequence[Alone]) -> str:
    """Return what orderd takes beside the plain worker, round by round."""
    found: dict[str, list[Alone]] = {}
    for each in measured:
        found.setdefault(each.case, []).append(each)
    own, plain = found.get("orderd", []), found.get("pika", [])
    said = []
    for name, what in (("p50_ms", "a call alone"), ("start_ms", "a start")):
        if pairs := ratios.by_round(own, plain, name):
            times = spread(ours / theirs for ours, theirs in pairs).text(".2f")
            said.append(f"{what} takes {times} × as long")  # noqa: RUF001
    text = f"Beside pika + psycopg2, {' and '.join(said)} with orderd." if said else ""
    if pairs := ratios.by_round(found.get("orderd-away", []), own, "p50_ms"):
        trips = spread((far - near) / parts.AWAY_MS for far, near in pairs).text(".1f")
        text += f" A call takes {trips} round trips to the database, by what distance adds to it."
    return _wrapped(text)


def _wrapped(text: str) -> str:
    return textwrap.fill(text.strip(), COLUMNS_MAX, break_long_words=False, break_on_hyphens=False)
