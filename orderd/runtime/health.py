"""Keeps the health file up to date: what state the daemon is in, and that its loop turns."""

import math
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from orderd.logs.logger import LogEvent, emit
from orderd.runtime import health_file
from orderd.runtime.health_writer import HealthWriter, Taken
from orderd.runtime.phase import Phase

INTERVAL_S: Final = 1.0


class Health:
    """Writes the file at a change of state, and else once a second while `beat` is called.

    A file that cannot be written is said once; the work never waits for it.
    """

    def __init__(self, path: str, now_s: Callable[[], float] = health_file.now_s) -> None:
        """Write to *path*; an empty one turns the file off."""
        self._path = path
        self._file = HealthWriter(path)
        self._now_s = now_s
        self._phase = Phase.STARTING
        self._waiting_for: str | None = None
        self._standing_by: tuple[str, ...] = ()
        self._since = _now()
        self._next_s = float("-inf")
        self._is_failing = False

    def claim(self) -> None:
        """Take the file, so that no other daemon does; raises `Taken` where one has it."""
        if self._path:
            # What else there is to say of it is said with the first turn.
            with suppress(OSError):
                self._file.claim()

    def note(
        self, phase: Phase, waiting_for: str | None = None, standing_by: Iterable[str] = ()
    ) -> None:
        """Show the *phase*, and which server it waits for.

        *standing_by* are the queues that are left to other daemons.
        """
        told = (phase, waiting_for, tuple(standing_by))
        if told != (self._phase, self._waiting_for, self._standing_by):
            self._phase, self._waiting_for, self._standing_by = told
            self._since = _now()
            self._next_s = float("-inf")
        self.beat()

    def beat(self) -> None:
        """Record that the loop is alive; cheap to call often, for few calls write."""
        now_s = self._now_s()
        if now_s < self._next_s or not self._path:
            return
        self._next_s = now_s + INTERVAL_S
        content = {
            "pid": os.getpid(),
            "state": self._phase,
            "waiting_for": self._waiting_for,
            "standing_by": self._standing_by,
            "since": self._since,
            # Never rounded up: a turn in the future would look like one of an earlier boot.
            "monotonic_s": math.floor(now_s * 1_000) / 1_000,
        }
        try:
            self._file.write(content)
        except OSError as error:
            self._tell_once(f"{self._path}: {error.strerror}")
        except Taken as error:
            self._tell_once(str(error))
        else:
            self._is_failing = False

    def close(self) -> None:
        """Remove the file, so that a daemon that has stopped does not look like one that hangs."""
        if self._path:
            with suppress(OSError):
                self._file.remove()
            self._path = ""

    def _tell_once(self, why: str) -> None:
        if not self._is_failing:
            self._is_failing = True
            emit(
                LogEvent.HEALTH_FAILED,
                f"cannot write the health file: {why}; orderctl health reports this daemon as down",
            )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
