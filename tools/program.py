"""One program that a tool started, and everything that it spawned in turn."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tools.waiting import NotObserved, wait_until

TAIL_LINES = 25


class StartFailed(RuntimeError):
    """A server did not come up; the text ends with the tail of its log."""


class Program:
    """A running program with its output in `log_path`; it ends only through `end`.

    It gets a session of its own, so that Ctrl-C in the terminal reaches the tool only, which
    then stops the programs in their order.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        log_path: Path,
        cwd: Path,
    ) -> None:
        with log_path.open("ab") as log:
            self._popen = subprocess.Popen(
                argv,
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def is_running(self) -> bool:
        return self._popen.poll() is None

    def end(self, signum: signal.Signals, timeout_s: float = 30) -> int:
        """Send the signal, wait, and kill what is left of it and its descendants.

        Return the exit code (negative: the signal that ended it).
        """
        spawned = descendants(self.pid)
        if self.is_running:
            self._popen.send_signal(signum)
        try:
            self._popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._popen.kill()
        code = self._popen.wait()
        end_descendants(spawned)
        return code


@dataclass(frozen=True, slots=True)
class Descendant:
    """A pid together with its start time, because pids are used again."""

    pid: int
    started_ticks: int

    @property
    def is_alive(self) -> bool:
        """A zombie is over: it only waits for its parent to look."""
        fields = _stat(self.pid)
        return fields is not None and fields[0] != "Z" and int(fields[19]) == self.started_ticks


def descendants(pid: int) -> list[Descendant]:
    """Return everything that runs below `pid` now, parents first."""
    children: dict[int, list[Descendant]] = {}
    for entry in Path("/proc").iterdir():
        fields = _stat(int(entry.name)) if entry.name.isdigit() else None
        if fields is not None:
            found = Descendant(int(entry.name), int(fields[19]))
            children.setdefault(int(fields[1]), []).append(found)
    below = list(children.get(pid, ()))
    for parent in below:  # grows while it is walked
        below.extend(children.get(parent.pid, ()))
    return below


def end_descendants(spawned: Sequence[Descendant], timeout_s: float = 2) -> None:
    """Give orphans a moment to end by themselves, as those of Erlang do, then kill them."""

    def none_left() -> bool:
        return not any(one.is_alive for one in spawned)

    with suppress(NotObserved):
        wait_until(none_left, timeout_s=timeout_s, what="orphans gone", poll_s=0.01)
    for one in spawned:
        if one.is_alive:
            with suppress(ProcessLookupError):
                os.kill(one.pid, signal.SIGKILL)


def tail(log_path: Path, lines: int = TAIL_LINES) -> str:
    """Return the last lines of a log, or a remark when there is none."""
    try:
        text = log_path.read_text(errors="replace")
    except OSError as error:
        return f"(no log: {error})"
    return "\n".join(text.splitlines()[-lines:])


def _stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/PID/stat from the state on; None when there is no such pid."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command name stands in parentheses and may contain anything, parentheses included.
    return text.rpartition(")")[2].split()
