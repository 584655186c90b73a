"""What each fault has cost, to be printed at the end."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields

COLUMNS = (
    "fault",
    "requests",
    "copies",
    "kills",
    "outages",
    "back s",
    "lost",
    "twice",
    "phantom",
    "burnt",
)


@dataclass(slots=True)
class Figures:
    """The figures of one fault; `recovered_s` has the seconds from its end to new work."""

    fault: str
    requests: int = 0
    copies: int = 0
    kills: int = 0
    outages: int = 0
    recovered_s: list[float] = field(default_factory=list)
    lost: int = 0
    twice: int = 0
    phantom: int = 0
    burnt: int = 0
    is_audited: bool = False

    def cells(self) -> list[str]:
        """Return the row of the table."""
        back = f"{max(self.recovered_s):.1f}" if self.recovered_s else "-"
        found = (self.lost, self.twice, self.phantom, self.burnt)
        rest = [f"{n:,}" if self.is_audited else "?" for n in found]
        counts = (self.requests, self.copies, self.kills, self.outages)
        return [self.fault, *(f"{n:,}" for n in counts), back, *rest]


def table(rows: Sequence[Figures]) -> list[str]:
    """Return the lines of the table, and one with the sums."""
    cells = [list(COLUMNS), *(row.cells() for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(COLUMNS))]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in cells
    ]
    return [*lines, "", _sums(rows)]


def _sums(rows: Sequence[Figures]) -> str:
    counted = [one.name for one in fields(Figures) if one.type is int]
    sums = {name: sum(getattr(row, name) for row in rows) for name in counted}
    unaudited = sum(not row.is_audited for row in rows)
    return (
        f"requests sent {sums['requests']:,}, kills {sums['kills']:,}, "
        f"duplicates {sums['copies']:,}, outages {sums['outages']:,}: "
        f"lost {sums['lost']}, twice {sums['twice']}, phantom events {sums['phantom']}, "
        f"attempts burnt {sums['burnt']}" + (f"; not audited {unaudited}" if unaudited else "")
    )
