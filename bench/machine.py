"""What the machine spends: CPU time and memory of programs, and how long its disk takes to sync."""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Final

from tools.program import descendants

SYNCS: Final = 50
PAGE: Final = bytes(8192)
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_GONE: Final = (FileNotFoundError, ProcessLookupError)


def processors() -> int:
    """Return how many processors the measurement shares between everybody."""
    return len(os.sched_getaffinity(0))


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of a program and its descendants, of those that have ended as well."""
    ticks = 0
    for text in _each(pid, "stat"):
        # utime, stime, and the same of children that were waited for.
        ticks += sum(int(field) for field in text.rpartition(")")[2].split()[11:15])
    return ticks / _TICKS_PER_S


def peak_rss_mb(pid: int) -> float:
    """Return the greatest resident memory of a program so far, in MB of 10^6 bytes.

    Those of its descendants are added, so pages that they share count several times.
    """
    kib = 0
    for text in _each(pid, "status"):
        kib += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmHWM:"))
    return kib * 1024 / 1e6


def busy_s() -> float:
    """Return the CPU seconds that all processors have worked since boot."""
    fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    user, nice, system, _idle, _waiting, *others = (int(field) for field in fields[:8])
    return (user + nice + system + sum(others)) / _TICKS_PER_S


def sync_ms(folder: Path) -> float:
    """Return how long the disk takes to keep a page for good, as each commit has to wait for."""
    took_ms = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(SYNCS):
            file.write(PAGE)
            file.flush()
            started_s = time.perf_counter()
            os.fdatasync(file.fileno())
            took_ms.append((time.perf_counter() - started_s) * 1_000)
    return median(took_ms)


def _each(pid: int, name: str) -> Iterator[str]:
    """Yield that file of /proc for a program and all that runs below it."""
    for each in (pid, *(one.pid for one in descendants(pid))):
        with suppress(*_GONE):
            yield Path(f"/proc/{each}/{name}").read_text(errors="replace")
