"""What was measured, as tables in Markdown."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from bench import ratios
from bench.ratios import Spread, spread
from bench.results import Alone, Run
from bench.runs import Case

RATE = "orders/s"
SPENT = ("CPU-s per 1,000: worker", "PostgreSQL", "RabbitMQ", "RSS MB")
ALONE = ("start to consuming, ms", "idle, % of a core", "call p50, ms", "call p99, ms")


def variants(cases: Sequence[Case], runs: Sequence[Run]) -> str:
    """Return a table of what orderd does otherwise, beside the first case: parts of its rate."""
    return _table(cases, runs, "× the first line", ratios.of_neighbour)  # noqa: RUF001


def peers(cases: Sequence[Case], runs: Sequence[Run]) -> str:
    """Return a table of other systems: how many times as fast the first case is."""
    return _table(cases, runs, "orderd is × as fast", ratios.neighbour_times)  # noqa: RUF001


def alone(cases: Sequence[Case], measured: Sequence[Alone]) -> str:
    """Return a table of workers with little to do."""
    rows = []
    for case in cases:
        found = [each for each in measured if each.case == case.name]
        if found:
            rows.append(
                [
                    case.system.title,
                    spread(each.start_ms for each in found).text(),
                    spread(each.idle_percent for each in found).text(".1f"),
                    spread(each.p50_ms for each in found).text(".1f"),
                    spread(each.p99_ms for each in found).text(".1f"),
                ]
            )
    return markdown(["", *ALONE], rows)


def by_case(runs: Iterable[Run]) -> Mapping[str, list[Run]]:
    """Return the runs of each case, in their order."""
    found: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        found[run.case].append(run)
    return found


def wrong(runs: Sequence[Run]) -> str | None:
    """Return what is wrong with the books of a case; None: in every run they were right."""
    faulty = [run for run in runs if run.faults]
    if not faulty:
        return None
    return f"WRONG in {len(faulty)} of {len(runs)} runs: {'; '.join(faulty[0].faults)}"


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; a bar in a cell is escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines
    )


def _table(
    cases: Sequence[Case],
    runs: Sequence[Run],
    ratio_head: str,
    ratio: Callable[[list[Run]], Spread | None],
) -> str:
    found = by_case(runs)
    rows = [_row(case, found[case.name], ratio) for case in cases if case.name in found]
    return markdown(["", RATE, ratio_head, *SPENT], rows)


def _row(case: Case, runs: list[Run], ratio: Callable[[list[Run]], Spread | None]) -> list[str]:
    title = case.system.title
    fault = wrong(runs)
    if fault is not None:
        return [title, f"**{fault}**", *[""] * (1 + len(SPENT))]
    compared = ratio(runs)
    postgres = spread(run.postgres_cpu_s for run in runs).text(".3f")
    start = [title, ratios.rates(runs).text(), "" if compared is None else compared.text(".2f")]
    if not case.system.needs_broker:
        return [*start, "", postgres, "", ""]
    return [
        *start,
        spread(run.worker_cpu_s for run in runs).text(".3f"),
        postgres,
        spread(run.broker_cpu_s for run in runs).text(".3f"),
        f"{max(run.rss_mb for run in runs):.0f}",
    ]
