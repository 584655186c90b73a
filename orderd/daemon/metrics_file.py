"""The metrics file: for the textfile collector of Prometheus' node_exporter, and for orderctl.

prometheus_client is loaded when the file is first written: no start waits for it, and a daemon
without such a file never needs it.
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from orderd.logs.logger import LogEvent, emit

INTERVAL_S: Final = 10.0
_MODE: Final = 0o644


class MetricsFile:
    """Replaces one file with the current metrics, while `tick` is called.

    A file that cannot be written is said once; the work never waits for it.
    """

    def __init__(
        self, path: str, text: Callable[[], bytes], now_s: Callable[[], float] = time.monotonic
    ) -> None:
        """Write what *text* returns to *path*; an empty path turns the file off."""
        self._path = path
        self._text = text
        self._now_s = now_s
        self._next_s = now_s() + INTERVAL_S
        self._is_failing = False

    def tick(self) -> None:
        """Write when it is time; cheap to call often."""
        now_s = self._now_s()
        if self._path and now_s >= self._next_s:
            self._next_s = now_s + INTERVAL_S
            self.write()

    def write(self) -> None:
        """Replace the file, so that whoever reads it finds the former or the new one, whole."""
        if not self._path:
            return
        try:
            _replace(self._path, self._text())
        except OSError as error:
            if not self._is_failing:
                self._is_failing = True
                text = f"cannot write the metrics file: {self._path}: {error.strerror}"
                emit(LogEvent.METRICS_FAILED, text)
        else:
            self._is_failing = False


def _replace(path: str, content: bytes) -> None:
    """Put *content* in the place of the file at *path*; raises OSError."""
    # node_exporter reads what ends in .prom, and no more.
    new = f"{path}.{os.getpid()}.new"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(new, flags, _MODE)
    try:
        # Whatever the umask: it holds no secret, and node_exporter is another user.
        os.fchmod(descriptor, _MODE)
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            file.write(content)
        os.rename(new, path)  # noqa: PTH104 - light to load
    except OSError:
        with suppress(OSError):
            os.unlink(new)  # noqa: PTH108 - as its neighbours
        raise
    finally:
        os.close(descriptor)
