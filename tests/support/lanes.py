"""`make test`: the tests side by side, each lane with servers of its own.

The tests wait more than they work, so lanes take little more time than the longest of them. That
one shows its dots as they come; what another one prints comes whole, when it has ended.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO, Final

from tools.interrupts import Terminated, terminable

NOTHING_COLLECTED: Final = 5
EXIT_SIGNALLED: Final = 128
POLL_S: Final = 0.2
ACCEPTANCE: Final = "tests/acceptance"
FAULTS: Final = (f"{ACCEPTANCE}/faults", f"{ACCEPTANCE}/state_machine")
ORDERCTL: Final = "tests/integration/ctl"
BULKHEADS: Final = f"{ACCEPTANCE}/faults/bulkheads"
ONE_VERSION: Final = ("-m", "not (soak or system or container or versions)")
EACH_VERSION: Final = ("-m", "versions and not (soak or system or container)")
# The longest one first.
LANES: Final = {
    "all else": ["tests", f"--ignore={ACCEPTANCE}", f"--ignore={ORDERCTL}", *ONE_VERSION],
    "orderctl": [ORDERCTL, *ONE_VERSION],
    "faults": [*FAULTS, *ONE_VERSION],
    "acceptance": [ACCEPTANCE, *(f"--ignore={path}" for path in FAULTS), *ONE_VERSION],
    "versions": ["tests", f"--ignore={BULKHEADS}", *EACH_VERSION],
    "bulkheads": [BULKHEADS, *EACH_VERSION],
}


@dataclass(slots=True)
class Lane:
    """One pytest; `output` is where it prints, None for one that prints to the terminal."""

    name: str
    process: subprocess.Popen[bytes]
    output: IO[bytes] | None

    @property
    def is_well(self) -> bool:
        """Whether it ended with nothing failed; `-k` may leave a lane without tests."""
        return self.process.returncode in {0, NOTHING_COLLECTED}


def main(pytest_args: Sequence[str]) -> int:
    """Run all lanes, each with *pytest_args* too; return 0 where none of them failed."""
    started_s = time.monotonic()
    with ExitStack() as stack, terminable():
        lanes: list[Lane] = []
        for name, where in LANES.items():
            output = stack.enter_context(tempfile.TemporaryFile()) if lanes else None
            lanes.append(_start(name, [*where, *pytest_args], output))
        try:
            _watch(lanes)
        except KeyboardInterrupt as interrupt:
            _stop(lanes)
            return EXIT_SIGNALLED + (interrupt.signum if isinstance(interrupt, Terminated) else 2)
        failed = [lane.name for lane in lanes if not lane.is_well]
        _tell(f"{len(lanes)} lanes in {time.monotonic() - started_s:.0f} s; failed: {failed}")
        is_empty = all(lane.process.returncode == NOTHING_COLLECTED for lane in lanes)
        return NOTHING_COLLECTED if is_empty else int(bool(failed))


def _start(name: str, args: Sequence[str], output: IO[bytes] | None) -> Lane:
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", *args],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=None if output is None else subprocess.STDOUT,
    )
    return Lane(name, process, output)


def _watch(lanes: Sequence[Lane]) -> None:
    running = list(lanes)
    while running:
        time.sleep(POLL_S)
        for lane in running:
            if lane.process.poll() is not None:
                _report(lane)
        running = [lane for lane in running if lane.process.returncode is None]


def _report(lane: Lane) -> None:
    _tell(f"{lane.name}: {'passed' if lane.is_well else 'FAILED'}")
    if lane.output is not None:
        lane.output.seek(0)
        sys.stdout.buffer.write(lane.output.read())
        sys.stdout.flush()


def _stop(lanes: Sequence[Lane]) -> None:
    """End the lanes as we were ended; each stops its servers first."""
    for lane in lanes:
        if lane.process.poll() is None:
            lane.process.terminate()
    for lane in lanes:
        lane.process.wait()


def _tell(text: str) -> None:
    print(f"\n=== {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
