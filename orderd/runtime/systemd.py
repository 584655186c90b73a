"""Notifies the service manager of the daemon's state; does nothing where there is none."""

import os
import socket
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from sdnotify import SystemdNotifier

_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
_STATUS_CHARS_MAX = 500
_ADDRESS_CHARS_MAX: Final = 200
_USEC_PER_S = 1_000_000
_USEC_DIGITS_MAX: Final = 20
# Three pings in a watchdog's time: one may be late, and one lost.
_PINGS: Final = 3
# More than the longest stretch in which the loop cannot ask again.
EXTENSION_S: Final = 60.0
_EXTEND_EVERY_S: Final = 10.0
# More than a life has states; beyond it the oldest message is dropped.
_UNSENT_MAX: Final = 20


class Notifier:
    """The service manager's notification socket, as the environment names it.

    The variables are removed from the environment, so that children do not speak for the daemon.
    Nothing here waits: what the socket does not take is kept, or left out where it would be old.
    """

    def __init__(
        self, watchdog_s: float = 30.0, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        """Expect a watchdog of *watchdog_s* seconds, 0 for none, unless the environment says."""
        address = os.environ.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._notifier: SystemdNotifier | None = None
        # Why the socket that was named cannot be used; empty where it can.
        self.fault = ""
        if address:
            self._connect(address)
        self._watchdog_s = _watchdog_s()
        self.expect_watchdog(watchdog_s)
        for variable in _VARIABLES:
            os.environ.pop(variable, None)
        self._now_s = now_s
        self._last_ping_s = float("-inf")
        self._last_extension_s = float("-inf")
        self._last_status = ""
        self._unsent: deque[str] = deque(maxlen=_UNSENT_MAX)

    @property
    def is_present(self) -> bool:
        """Whether the service manager listens."""
        return self._notifier is not None

    @property
    def ping_interval_s(self) -> float | None:
        """Seconds between two watchdog pings; None: no pings are wanted from this daemon."""
        return self._ping_interval_s

    def expect_watchdog(self, watchdog_s: float) -> None:
        """Take this time, 0 for none, where the manager did not tell its own."""
        wanted_s = watchdog_s if self._watchdog_s is None else self._watchdog_s
        self._ping_interval_s = wanted_s / _PINGS if wanted_s and self._notifier else None

    def ready(self, status: str = "") -> None:
        """Report that start-up or a reload is complete."""
        self._send("READY=1", *self._status(status))

    def status(self, text: str) -> None:
        """Show one line in `systemctl status`; the same line again is not sent."""
        if (lines := self._status(text)) and not self._send(*lines, is_kept=False):
            # The same line is sent again once the socket has room.
            self._last_status = ""

    def watchdog(self) -> None:
        """Send a watchdog ping if one is due; cheap to call often."""
        self._send_unsent()
        if self._ping_interval_s is None:
            return
        now_s = self._now_s()
        is_due = now_s - self._last_ping_s >= self._ping_interval_s
        if is_due and self._send("WATCHDOG=1", is_kept=False):
            self._last_ping_s = now_s

    def extend_timeout(self) -> None:
        """Ask for more time to start or stop, if that is due; cheap to call often."""
        now_s = self._now_s()
        is_due = now_s - self._last_extension_s >= _EXTEND_EVERY_S
        line = f"EXTEND_TIMEOUT_USEC={round(EXTENSION_S * _USEC_PER_S)}"
        if is_due and self._send(line, is_kept=False):
            self._last_extension_s = now_s

    def reloading(self) -> None:
        """Report that a reload has begun; `ready` ends it."""
        # Without this time stamp `systemctl reload` of a notify-reload unit fails.
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1_000}")

    def stopping(self, status: str = "") -> None:
        """Report that the drain has begun."""
        self._last_extension_s = float("-inf")
        self._send("STOPPING=1", *self._status(status))

    def failed(self, exit_status: int, status: str = "", errno: int | None = None) -> None:
        """Report why the daemon is about to exit with this code."""
        number = () if errno is None else (f"ERRNO={errno}",)
        self._send(*number, f"EXIT_STATUS={exit_status}", *self._status(status))

    def close(self) -> None:
        """Close the socket; later notifications are dropped."""
        if self._notifier is not None:
            self._notifier.socket.close()
            self._notifier = None
            self._unsent.clear()

    def _connect(self, address: str) -> None:
        try:
            # Tried here first, for sdnotify would leave its socket open.
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as tried:
                tried.connect(self._address)
            notifier = SystemdNotifier(debug=True)
        except OSError as error:
            self.fault = f"{address[:_ADDRESS_CHARS_MAX]}: {error.strerror or error}"
            return
        # A manager that does not read must not hold up the loop.
        notifier.socket.setblocking(False)
        self._notifier = notifier

    def _status(self, text: str) -> tuple[str, ...]:
        # sdnotify drops what is not Latin-1, and a line end would begin another assignment.
        line = " ".join(text.split()).encode("ascii", "replace").decode()[:_STATUS_CHARS_MAX]
        if not line or line == self._last_status:
            return ()
        self._last_status = line
        return (f"STATUS={line}",)

    def _send(self, *lines: str, is_kept: bool = True) -> bool:
        """Send the lines as one message, after those that were kept; keep it if it must arrive."""
        message = "\n".join(lines)
        if self._send_unsent() and self._notify(message):
            return True
        if is_kept:
            self._unsent.append(message)
        return False

    def _send_unsent(self) -> bool:
        """Return whether nothing is left of what was kept."""
        while self._unsent:
            if not self._notify(self._unsent[0]):
                return False
            self._unsent.popleft()
        return True

    def _notify(self, message: str) -> bool:
        """Return whether the message was sent, or there is no service manager."""
        notifier = self._notifier
        if notifier is None:
            return True
        try:
            notifier.notify(message)
        except BlockingIOError:
            return False
        except OSError:
            return self._notify_anew(notifier, message)
        return True

    def _notify_anew(self, notifier: SystemdNotifier, message: str) -> bool:
        """Reconnect and try once more: the manager may have recreated the socket."""
        try:
            notifier.socket.connect(self._address)
            notifier.notify(message)
        except OSError:
            # A lost notification must not stop the work.
            return False
        return True


def _watchdog_s() -> float | None:
    """Return the time that the manager told, 0 for no watchdog, None where it told nothing."""
    watchdog_pid = os.environ.get("WATCHDOG_PID", "")
    if watchdog_pid and watchdog_pid != str(os.getpid()):
        return 0.0
    watchdog_usec = os.environ.get("WATCHDOG_USEC", "")
    if not watchdog_usec:
        return None
    # More digits than a 64-bit number has are no time that a manager would wait.
    is_number = watchdog_usec.isdecimal() and len(watchdog_usec) <= _USEC_DIGITS_MAX
    return int(watchdog_usec) / _USEC_PER_S if is_number else 0.0
