"""Records the signals that the daemon receives; the loop asks for them when it is ready."""

import os
import select
import signal
import time
from types import FrameType
from typing import Final

# In the words of the documentation and of the manual.
EFFECTS: Final = {
    "SIGTERM, SIGINT": "drain: take no more, finish the unacked messages, exit 0; after "
    "`shutdown_timeout` the broker redelivers the rest",
    "a second one": "give up at once, losing nothing; exit 0",
    "SIGUSR1": "log a status line (`status.logged`)",
    "SIGHUP": "read the configuration again",
    "SIGABRT": "write the stack of each thread to stderr, and end as in a crash; sent by the "
    "service manager's watchdog",
    "SIGQUIT, SIGKILL": "end as in a crash: the broker redelivers the unacked messages",
    "SIGTSTP, SIGSTOP, SIGCONT": "stop the process, and let it go on",
    "all others": "none, such as SIGUSR2 and SIGALRM",
}

_STOPS = (signal.SIGTERM, signal.SIGINT)
_WAKE_BYTES_MAX = 4_096


class Signals:
    """The requests that came as signals. Handlers only set flags; nothing else is safe there."""

    def __init__(self) -> None:
        self._stops: list[int] = []
        self._woken = False
        self._reload = False
        self._status = False
        self._wake_fds: tuple[int, int] | None = None
        self._poll = select.poll()

    @property
    def stop_requested(self) -> bool:
        """Whether to drain and end."""
        self._read_wakeups()
        return bool(self._stops)

    @property
    def stop_now(self) -> bool:
        """Whether a second signal asked to give up the drain."""
        self._read_wakeups()
        return len(self._stops) > 1

    @property
    def stop_signal(self) -> str:
        """The name of the signal that asked to stop, or an empty text."""
        return signal.Signals(self._stops[0]).name if self._stops else ""

    def take_reload(self) -> bool:
        """Return whether SIGHUP came since the last call."""
        wanted, self._reload = self._reload, False
        return wanted

    def take_status(self) -> bool:
        """Return whether SIGUSR1 came since the last call."""
        wanted, self._status = self._status, False
        return wanted

    def install(self) -> None:
        """Handle SIGTERM, SIGINT, SIGHUP and SIGUSR1 from now on; main thread only.

        Call it first: as PID 1 of a container, a signal without a handler is ignored.
        """
        if self._wake_fds is None:
            self._wake_fds = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
            self._poll.register(self._wake_fds[0], select.POLLIN)
        # A full pipe wakes the loop as well, so a warning is not needed.
        signal.set_wakeup_fd(self._wake_fds[1], warn_on_full_buffer=False)
        for number in _STOPS:
            signal.signal(number, self._note_stop)
        signal.signal(signal.SIGHUP, self._note_reload)
        signal.signal(signal.SIGUSR1, self._note_status)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)

    def wait(self, seconds: float) -> bool:
        """Sleep for at most so many seconds and return whether a signal came.

        A signal that came since the last wait ends this one at once.
        """
        if self._wake_fds is None:
            time.sleep(seconds)
            return False
        if not self._woken and not self._poll.poll(max(0, round(seconds * 1_000))):
            return False
        self._read_wakeups()
        return self._take_woken()

    def uninstall(self) -> None:
        """Give the signals back to their default handlers; for tests and short commands."""
        if self._wake_fds is None:
            return
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
            signal.signal(number, signal.SIG_DFL)
        self._poll.unregister(self._wake_fds[0])
        for descriptor in self._wake_fds:
            os.close(descriptor)
        self._wake_fds = None

    def _read_wakeups(self) -> None:
        """Note the stops among the signals that came; each has left its number in the pipe.

        The handlers cannot count: Python runs one once for all its signals that came while a
        library's call kept it from running.
        """
        if self._wake_fds is None:
            return
        try:
            numbers = os.read(self._wake_fds[0], _WAKE_BYTES_MAX)
        except BlockingIOError:
            return
        self._woken = True
        self._stops += [number for number in numbers if number in _STOPS]

    def _take_woken(self) -> bool:
        woken, self._woken = self._woken, False
        return woken

    def _note_stop(self, _number: int, _frame: FrameType | None) -> None:
        """Keep the signal from ending the program; its number is in the pipe."""

    def _note_reload(self, _number: int, _frame: FrameType | None) -> None:
        self._reload = True

    def _note_status(self, _number: int, _frame: FrameType | None) -> None:
        self._status = True
