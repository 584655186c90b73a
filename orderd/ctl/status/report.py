"""All that `orderctl status` found, and what that comes to."""

from collections.abc import Sequence
from typing import Any, Final

from orderd.ctl.findings import Finding
from orderd.ctl.status.thresholds import AGE, DEAD_LETTERS, MESSAGES, Figures, Judged, Level
from orderd.protocol.exit_codes import ExitCode
from orderd.protocol.names import QUEUES, dead_letter_queue
from orderd.protocol.values import value

UNKNOWN: Final = "unknown (no connection)"


@value
class Report:
    """The parts in their order, and the figures that have a threshold."""

    findings: Sequence[Finding]
    thresholds: Sequence[Judged] = ()

    @property
    def level(self) -> Level:
        """How bad it is: what is wrong counts more than what is not known."""
        if not all(finding.is_well for finding in self.findings):
            return Level.CRITICAL
        levels = {judged.level for judged in self.thresholds}
        by_weight = (Level.CRITICAL, Level.WARNING, Level.UNKNOWN)
        return next((level for level in by_weight if level in levels), Level.OK)

    @property
    def code(self) -> ExitCode:
        """The exit code of the command."""
        match self.level:
            case Level.OK:
                return ExitCode.DONE
            case Level.UNKNOWN:
                return ExitCode.NOT_CHECKED
        return ExitCode.FAILED

    @property
    def reasons(self) -> Sequence[str]:
        """What is not well, and what is beyond its threshold, in words."""
        faults = [one for one in self.findings if not one.is_well and one.summary != UNKNOWN]
        beyond = [one for one in self.thresholds if one.level != Level.OK]
        return [
            *(f"{one.part}: {one.summary}" for one in faults),
            *(one.summary for one in sorted(beyond, key=lambda one: one.level == Level.UNKNOWN)),
        ]

    def document(self) -> dict[str, Any]:
        """Return everything as one JSON document."""
        document: dict[str, Any] = {"ok": self.level == Level.OK}
        document |= {finding.part: finding.document() for finding in self.findings}
        if self.thresholds:
            document["thresholds"] = {one.name: one.document() for one in self.thresholds}
        return document


def rows_of(findings: Sequence[Finding]) -> Sequence[dict[str, Any]]:
    """Return the queues as they were found, none without a connection."""
    return [row for finding in findings for row in finding.facts.get("queues", ())]


def figures_of(findings: Sequence[Finding]) -> Figures:
    """Return what can have a threshold; None for what is not known."""
    rows = {row["queue"]: row for row in rows_of(findings) if row["ready"] is not None}
    commands = [rows[queue] for queue in QUEUES if queue in rows]
    dead = [rows[name]["ready"] for name in map(dead_letter_queue, QUEUES) if name in rows]
    if not rows:
        return dict.fromkeys((MESSAGES, AGE, DEAD_LETTERS))
    ages = [row["oldest_s"] for row in commands]
    return {
        MESSAGES: sum(row["ready"] for row in commands),
        AGE: None if None in ages else float(max(ages, default=0)),
        DEAD_LETTERS: sum(dead),
    }
