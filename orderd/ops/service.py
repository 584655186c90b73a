"""Tells the service manager how the daemon is; silent where there is none."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from sdnotify import SystemdNotifier

_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
_STATUS_CHARS_MAX = 500
_SEND_TIMEOUT_S = 0.2
# Where the manager's own interval is not passed on (podman), pings go out this often.
_PING_INTERVAL_S = 10.0


class Service:
    """The service manager's notification socket, as the environment names it.

    The variables are removed from the environment, so that children do not speak for the daemon.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._notifier = _connect(self._address) if address else None
        self._ping_interval_s = _ping_interval_s() if self._notifier else None
        for variable in _VARIABLES:
            os.environ.pop(variable, None)
        self._now_s = now_s
        self._last_ping_s = float("-inf")
        self._last_status = ""

    @property
    def is_present(self) -> bool:
        """Whether somebody listens."""
        return self._notifier is not None

    @property
    def ping_interval_s(self) -> float | None:
        """Seconds between two watchdog pings; None: no pings are wanted from this daemon."""
        return self._ping_interval_s

    def ready(self, status: str = "") -> None:
        """Say that start-up, or a reload, is over."""
        self._send("READY=1", *self._status(status))

    def status(self, text: str) -> None:
        """Show one line in `systemctl status`; the same line again is not sent."""
        if lines := self._status(text):
            self._send(*lines)

    def watchdog(self) -> None:
        """Say that the loop turns. To be called freely: few of the calls send anything."""
        if self._ping_interval_s is None:
            return
        now_s = self._now_s()
        if now_s - self._last_ping_s >= self._ping_interval_s:
            self._last_ping_s = now_s
            self._send("WATCHDOG=1")

    def reloading(self) -> None:
        """Say that a reload has begun; `ready` ends it."""
        # Without this time stamp `systemctl reload` of a notify-reload unit fails.
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1_000}")

    def stopping(self, status: str = "") -> None:
        """Say that the drain has begun."""
        self._send("STOPPING=1", *self._status(status))

    def extend_timeout(self, seconds: float) -> None:
        """Ask for so many more seconds, from now on, for the phase at hand."""
        self._send(f"EXTEND_TIMEOUT_USEC={round(seconds * 1_000_000)}")

    def failed(self, exit_status: int, status: str = "", errno: int | None = None) -> None:
        """Say why the daemon is about to exit with this code."""
        number = () if errno is None else (f"ERRNO={errno}",)
        self._send(*number, f"EXIT_STATUS={exit_status}", *self._status(status))

    def close(self) -> None:
        """Close the socket; whatever is told from then on goes nowhere."""
        if self._notifier is not None:
            self._notifier.socket.close()
            self._notifier = None

    def _status(self, text: str) -> tuple[str, ...]:
        # sdnotify drops what is not Latin-1, and a line end would begin another assignment.
        line = " ".join(text.split()).encode("ascii", "replace").decode()[:_STATUS_CHARS_MAX]
        if not line or line == self._last_status:
            return ()
        self._last_status = line
        return (f"STATUS={line}",)

    def _send(self, *lines: str) -> None:
        if self._notifier is None:
            return
        message = "\n".join(lines)
        try:
            self._notifier.notify(message)
        except TimeoutError:
            return
        except OSError:
            # The socket may have been made anew; to be heard is never worth more than the work.
            try:
                self._notifier.socket.connect(self._address)
                self._notifier.notify(message)
            except OSError:
                return


def _connect(address: str) -> SystemdNotifier | None:
    if not (address.startswith("\0") or Path(address).exists()):
        # sdnotify would leave its socket open.
        return None
    try:
        notifier = SystemdNotifier(debug=True)
    except OSError:
        return None
    # A manager that does not read must not hold up the loop.
    notifier.socket.settimeout(_SEND_TIMEOUT_S)
    return notifier


def _ping_interval_s() -> float | None:
    watchdog_pid = os.environ.get("WATCHDOG_PID", "")
    if watchdog_pid and watchdog_pid != str(os.getpid()):
        return None
    watchdog_usec = os.environ.get("WATCHDOG_USEC", "")
    if not watchdog_usec:
        return _PING_INTERVAL_S
    if not watchdog_usec.isdecimal() or int(watchdog_usec) == 0:
        return None
    return int(watchdog_usec) / 3_000_000
