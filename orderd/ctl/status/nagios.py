"""One line for Nagios and its kin, with performance data."""

from collections.abc import Iterator
from typing import Final

from orderd.ctl.findings import Finding
from orderd.ctl.status.report import UNKNOWN, Report, figures_of
from orderd.ctl.status.thresholds import AGE, NAMES, Level
from orderd.ctl.tables import printable

_SERVICE: Final = "ORDERD"


def nagios_line(report: Report) -> str:
    """Return `ORDERD LEVEL - why | figures`; one that is not known is `U`."""
    parts = {finding.part: finding for finding in report.findings}
    said = "; ".join(report.reasons) or parts["daemon"].summary
    data = " ".join(_figures(report, parts))
    return f"{_SERVICE} {level_of(report).name} - {_text(said)} | {data}"


def level_of(report: Report) -> Level:
    """Return how bad it is for Nagios: where this login is refused, that is unknown."""
    faults = [one for one in report.findings if not one.is_well and one.summary != UNKNOWN]
    if not (faults and all(one.is_refused for one in faults)):
        return report.level
    seen = Report([one for one in report.findings if one.is_well], report.thresholds)
    return seen.level if seen.level in {Level.WARNING, Level.CRITICAL} else Level.UNKNOWN


def unknown_line(why: str) -> str:
    """Return the line for a check that could not be made."""
    return f"{_SERVICE} UNKNOWN - {_text(why)}"


def _figures(report: Report, parts: dict[str, Finding]) -> Iterator[str]:
    figures = figures_of(report.findings)
    limits = {one.name: _limits(one.warn, one.crit) for one in report.thresholds}
    for name in NAMES:
        figure = figures[name]
        unit = "s" if name == AGE else ""
        shown = "U" if figure is None else f"{figure:g}{unit}"
        yield f"{name}={shown};{limits.get(name, _limits(None, None))};0"
    for name, part, fact, unit in (
        ("outbox", "outbox", "events", ""),
        ("outbox_age", "outbox", "oldest_s", "s"),
        ("round_trip", "daemon", "round_trip_ms", "ms"),
    ):
        found = parts[part].facts.get(fact) if part in parts else None
        yield f"{name}={'U' if found is None else f'{found}{unit}'};;;0"


def _limits(*limits: float | None) -> str:
    return ";".join("" if limit is None else f"{limit:g}" for limit in limits)


def _text(text: str) -> str:
    # What stands behind a bar would be taken for figures.
    return printable(text.replace("\n", "; ")).replace("|", "/")
