"""The report of `orderctl status` for people: first the verdict, then what is not well."""

from collections.abc import Sequence
from typing import Any, Final

from orderd.ctl.console import Console
from orderd.ctl.findings import Finding
from orderd.ctl.status.report import UNKNOWN, Report, rows_of
from orderd.ctl.status.thresholds import Level
from orderd.ctl.tables import Column, Table
from orderd.ctl.terminal import BOLD, RED, YELLOW
from orderd.protocol.names import QUEUES

_PARTS: Final = (Column("part"), Column("state"), Column("details", is_long=True))
_QUEUES: Final = (
    Column("queue"),
    Column("ready", is_right=True),
    Column("consumers", is_right=True),
    Column("oldest", is_right=True),
)


def show(report: Report, console: Console) -> None:
    """Print *report*."""
    console.say(*_verdict(report))
    console.line()
    console.table(Table(_PARTS, _part_rows(report)))
    rows = rows_of(report.findings)
    idle = [row for row in rows if _is_idle(row)]
    others = [row for row in rows if not _is_idle(row)]
    if rows:
        console.line()
    if others:
        console.table(Table(_QUEUES, [_cells(row) for row in others]))
    if idle:
        console.say(f"empty: {_listed([row['queue'] for row in idle])}")


def _verdict(report: Report) -> tuple[str, str]:
    """Return the sentence that comes first, and its style."""
    parts = {finding.part: finding for finding in report.findings}
    match report.level:
        case Level.OK:
            return f"OK: {parts['daemon'].summary}", BOLD
        case Level.CRITICAL if any(not one.is_well for one in report.findings):
            faults = [one.part for one in report.findings if _weight(one) == 0]
            return f"NOT OK: {', '.join(faults)}", RED
        case level:
            told = "; ".join(report.reasons)
            return f"{level.name}: {told}", RED if level == Level.CRITICAL else YELLOW


def _part_rows(report: Report) -> list[tuple[str, str, str]]:
    shown = [one for one in report.findings if one.facts.get("is_used", True)]
    found = sorted(shown, key=_weight)
    states = {0: "NOT OK", 1: "unknown", 2: "ok"}
    beyond = [
        (one.name, "NOT OK" if one.level == Level.CRITICAL else one.level.name, one.summary)
        for one in report.thresholds
        if one.level != Level.OK
    ]
    return [*beyond, *((one.part, states[_weight(one)], one.summary) for one in found)]


def _weight(finding: Finding) -> int:
    if finding.is_well:
        return 2
    return 1 if finding.summary == UNKNOWN else 0


def _is_idle(row: dict[str, Any]) -> bool:
    """Return whether a queue is as it should be, and nothing waits in it."""
    if row["ready"] != 0:
        return False
    return row["queue"] not in QUEUES or row["consumers"] > 0


def _cells(row: dict[str, Any]) -> tuple[str, str, str, str]:
    if row["ready"] is None:
        return row["queue"], "missing", "", ""
    age = ""
    if row["ready"]:
        age = "unknown" if row["oldest_s"] is None else f"{row['oldest_s']} s"
    return row["queue"], str(row["ready"]), str(row["consumers"]), age


def _listed(names: Sequence[str]) -> str:
    """Return command queues by name, and how many there are of the others."""
    said = [name for name in names if "." not in name]
    for part, kind in ((".retry.", "retry"), (".dlq", "dead letter")):
        count = sum(part in name for name in names)
        if count:
            said.append(f"{count} {kind} queue{'s' * (count != 1)}")
    return ", ".join(said)
