"""The daemon as a subprocess, seen from outside: its log, its exit code, its use of the machine."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tools.waiting import NotObserved, patience_s

READY_EVENT = "consumer.started"
EVENT_TIMEOUT_S = 20.0
EXIT_TIMEOUT_S = 40.0
READ_TIMEOUT_S = 20.0
TAIL_LINES = 40
PROGRAM = (sys.executable, "-m", "orderd")
_NOTIFY = "import sys; from orderd.__main__ import notify; sys.exit(notify())"
NOTIFY_PROGRAM = (sys.executable, "-c", _NOTIFY)

# What would reach the daemon from the shell of whoever runs the tests.
FOREIGN_PREFIXES = ("ORDERD_", "RABBITMQ_", "DATABASE_URL", "NOTIFY_", "WATCHDOG_", "JOURNAL_")


class DaemonProcess:
    """`python -m orderd`, or another program that is orderd, started at once.

    A thread of ours reads its output, so that a full pipe never holds the daemon up.
    """

    def __init__(
        self,
        env: Mapping[str, str],
        *,
        args: Sequence[str] = (),
        log_path: Path | None = None,
        program: Sequence[str] = PROGRAM,
    ) -> None:
        self._output: list[str] = []
        self._events: list[dict[str, Any]] = []
        self._ended = False
        self._changed = threading.Condition()
        self._popen = subprocess.Popen(
            [*program, *args],
            env=clean_environment() | dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, args=(log_path,), daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def is_running(self) -> bool:
        return self._popen.poll() is None

    @property
    def is_frozen(self) -> bool:
        """Whether it stands still, by SIGSTOP."""
        stat = Path(f"/proc/{self.pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] == "T"

    @property
    def log_lines(self) -> list[dict[str, Any]]:
        """The JSON lines so far, in order."""
        with self._changed:
            return list(self._events)

    @property
    def output(self) -> str:
        """Everything printed so far, tracebacks and other text included."""
        with self._changed:
            return "".join(self._output)

    def mark(self) -> int:
        """Return a place in the log: `after=mark` looks only at what comes later."""
        with self._changed:
            return len(self._events)

    def events(self, name: str, *, after: int = 0, **fields: Any) -> list[dict[str, Any]]:
        """Return the log lines so far of that event and with these fields."""
        with self._changed:
            return [line for line in self._events[after:] if _matches(line, name, fields)]

    def wait_for_event(
        self,
        name: str,
        *,
        timeout_s: float = EVENT_TIMEOUT_S,
        after: int = 0,
        **fields: Any,
    ) -> dict[str, Any]:
        """Return the first such log line after the mark, waiting for it.

        NotObserved when the time is over, or the daemon ended without it.
        """
        deadline_s = time.monotonic() + patience_s(timeout_s)
        wanted = f"event {name!r}" + (f" with {fields}" if fields else "")
        with self._changed:
            seen = after
            while True:
                for line in self._events[seen:]:
                    if _matches(line, name, fields):
                        return line
                seen = max(seen, len(self._events))
                if self._ended:
                    raise NotObserved(f"orderd ended without {wanted}\n{self.log_tail()}")
                left_s = deadline_s - time.monotonic()
                if left_s <= 0 or not self._changed.wait(left_s):
                    within = f"{patience_s(timeout_s):g} s"
                    raise NotObserved(f"no {wanted} within {within}\n{self.log_tail()}")

    def wait_ready(self, *, timeout_s: float = EVENT_TIMEOUT_S, after: int = 0) -> None:
        """Return when the daemon consumes."""
        self.wait_for_event(READY_EVENT, timeout_s=timeout_s, after=after)

    def terminate(self) -> None:
        """Ask for a drain (SIGTERM); does not wait."""
        self._popen.send_signal(signal.SIGTERM)

    def send(self, signum: signal.Signals) -> None:
        """Send any signal; one to a daemon that has ended does nothing."""
        self._popen.send_signal(signum)

    def kill(self) -> None:
        """End it with SIGKILL, and return when it is gone."""
        self._popen.kill()
        self._popen.wait()
        self._reader.join(timeout=READ_TIMEOUT_S)

    def exit_code(self, timeout_s: float | None = EXIT_TIMEOUT_S) -> int:
        """Return the exit code, waiting for the end; negative: the signal that ended it."""
        try:
            code = self._popen.wait(None if timeout_s is None else patience_s(timeout_s))
        except subprocess.TimeoutExpired:
            raise NotObserved(f"orderd runs on after {timeout_s} s\n{self.log_tail()}") from None
        self._reader.join(timeout=READ_TIMEOUT_S)
        return code

    def stop(self, timeout_s: float = EXIT_TIMEOUT_S) -> int:
        """Drain, and return the exit code; killed (-9) when it does not end in time."""
        self.terminate()
        try:
            return self.exit_code(timeout_s)
        except NotObserved:
            self.kill()
            return -signal.SIGKILL

    def rss_mb(self) -> float:
        """Return the resident memory now, in MB of 10^6 bytes."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024 / 1e6
        raise NotObserved("orderd has ended, it has no memory")

    def cpu_seconds(self) -> float:
        """Return the CPU time used so far, user and system."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def log_tail(self) -> str:
        """Return the last lines of what it printed."""
        with self._changed:
            return "".join(self._output[-TAIL_LINES:])

    def _read(self, log_path: Path | None) -> None:
        assert self._popen.stdout is not None
        with self._popen.stdout as pipe, (log_path or Path(os.devnull)).open("a") as log:
            for raw in pipe:
                text = raw.decode(errors="replace")
                log.write(text)
                log.flush()
                self._note(text)
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _note(self, text: str) -> None:
        line = _parsed(text)
        with self._changed:
            self._output.append(text)
            if line is not None:
                self._events.append(line)
            self._changed.notify_all()


def clean_environment() -> dict[str, str]:
    """Return our environment without what would configure an orderd."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith(FOREIGN_PREFIXES)
    }


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        line = json.loads(text)
    except ValueError:
        return None
    return line if isinstance(line, dict) else None


def _matches(line: Mapping[str, Any], name: str, fields: Mapping[str, Any]) -> bool:
    return line.get("event") == name and all(line.get(key) == fields[key] for key in fields)
