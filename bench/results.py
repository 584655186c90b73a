"""What was measured, as lines of JSON in `build/bench`: a part can be measured in pieces."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

RESULTS: Final = Path(__file__).parents[1] / "build" / "bench"


@dataclass(frozen=True, slots=True)
class Run:
    """One queue worked off; CPU in seconds per 1,000 orders.

    `neighbour_per_s` is the rate of the run just before it, of the system that all are compared
    with, None where there was none. `faults` are what is wrong with the books. `others` is the
    part of all processors that other programs took meanwhile.
    """

    case: str
    round: int
    count: int
    per_s: float
    worker_cpu_s: float
    postgres_cpu_s: float
    broker_cpu_s: float
    rss_mb: float
    sync_ms: float
    others: float
    neighbour_per_s: float | None = None
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Alone:
    """A worker with little to do: its start, its idling, and calls one after the other."""

    case: str
    round: int
    start_ms: float
    idle_percent: float
    p50_ms: float
    p99_ms: float
    sync_ms: float


class Results:
    """The file of one part."""

    def __init__(self, part: str, folder: Path = RESULTS) -> None:
        self._path = folder / f"{part}.jsonl"

    @property
    def rounds(self) -> int:
        """How many rounds there are."""
        return max((int(each["round"]) for each in self._lines()), default=0)

    def begin(self) -> None:
        """Forget what was measured before."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.unlink(missing_ok=True)

    def add(self, measured: Run | Alone) -> None:
        """Keep one more: what was measured so far outlives Ctrl-C."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(measured)) + "\n")

    def runs(self) -> list[Run]:
        """Return all runs, in the order in which they were measured."""
        return [Run(**each) for each in self._lines()]

    def alone(self) -> list[Alone]:
        """Return the same for a file of workers alone."""
        return [Alone(**each) for each in self._lines()]

    def _lines(self) -> Iterator[dict[str, Any]]:
        if self._path.exists():
            for line in self._path.read_text(encoding="utf-8").splitlines():
                yield json.loads(line)
