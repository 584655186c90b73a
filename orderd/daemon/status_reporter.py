"""Signs of life: the daemon's state as the service manager and the health file are told it."""

import errno
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from orderd.daemon.stats import Stats
from orderd.protocol.exit_codes import ExitCode
from orderd.runtime.health import Health
from orderd.runtime.health_file import RUNNING, STANDBY
from orderd.runtime.systemd import Service

_ERRNO: Final = {ExitCode.CONFIG: errno.EINVAL, ExitCode.UNAVAILABLE: errno.EHOSTUNREACH}
_AT_WORK: Final = (RUNNING, STANDBY)
_STATUS_EVERY_S: Final = 5.0
# A database that takes so long for one answer is not one to send work to.
_SILENT_AFTER_S: Final = 15.0


class StatusReporter:
    """What is shown: the state, one of `health_file.STATES`, and that the loop turns."""

    def __init__(self, service: Service, health: Health) -> None:
        """Show it to *service* and by *health*; the daemon is starting."""
        self.stats = Stats()
        self._service = service
        self._health = health
        self._waiting_for: str | None = None
        self._is_ready = False
        self._is_running = False
        self._is_blocked = False
        self._is_draining = False
        self._standing_by: tuple[str, ...] = ()
        self._takes_any = True
        self._failing: Mapping[str, str] = {}
        self._next_status_s = 0.0

    def claim_health_file(self) -> None:
        """Lock the health file; raises ValueError where another daemon writes to it."""
        self._health.claim()

    def breathe(self, silent_s: float = 0.0) -> None:
        """Show that the loop turns; the database has not answered for *silent_s* seconds.

        To be called freely: few of the calls do anything.
        """
        state, waiting_for = self._state(silent_s)
        self._health.note(state, waiting_for, self._standing_by)
        self._service.watchdog()
        if self._is_draining or not self._is_ready:
            self._service.extend_timeout()
        now_s = time.monotonic()
        if state in _AT_WORK and now_s >= self._next_status_s:
            self._next_status_s = now_s + _STATUS_EVERY_S
            self._service.status(f"{state}: {self._at_work(state)}")

    def expect_watchdog(self, watchdog_s: float) -> None:
        """Take this time for the watchdog's where the service manager did not tell its own."""
        self._service.expect_watchdog(watchdog_s)

    def starting(self) -> None:
        """Show that the program is there, and nothing else yet."""
        self._service.status("starting")
        self.breathe()

    def running(self) -> None:
        """Show that commands are taken; the first time, that the start is over."""
        self._is_running = True
        self._waiting_for = None
        self._next_status_s = 0.0
        if not self._is_ready:
            self._is_ready = True
            self._service.ready()
        self.breathe()

    def waiting(self, dependency: str, why: str) -> None:
        """Show which server cannot be used, and why."""
        self._is_running = False
        self._waiting_for = dependency
        word = "paused" if self._is_ready else "starting"
        self._service.status(f"{word}: {why}")
        self.breathe()

    def blocked(self, *, is_blocked: bool) -> None:
        """Show whether the broker takes messages."""
        self._is_blocked = is_blocked
        self._next_status_s = 0.0
        if is_blocked:
            self._service.status("blocked: RabbitMQ takes no messages")

    def standing_by(self, queues: Sequence[str], *, takes_any: bool) -> None:
        """Show which queues are left to another daemon, and whether any is not."""
        self._standing_by, self._takes_any = tuple(queues), takes_any
        self._next_status_s = 0.0

    def failing_queues(self, failing: Mapping[str, str]) -> None:
        """Show which queues cannot be consumed for now, and why."""
        self._failing = failing
        self._next_status_s = 0.0

    def draining(self) -> None:
        """Show that what is in hand is finished, and nothing else taken."""
        if not self._is_draining:
            self._is_draining = True
            self._service.stopping("draining")
            self.breathe()

    @contextmanager
    def reloading(self) -> Iterator[None]:
        """Show that the settings change; a daemon that has yet to start is not ready by that."""
        if not self._is_ready:
            yield
            return
        self._service.reloading()
        try:
            yield
        finally:
            self._service.ready()

    def failed(self, code: ExitCode, error: BaseException) -> None:
        """Show why the daemon is about to end."""
        self._service.failed(int(code), str(error), _errno_of(error) or _ERRNO.get(code))

    def _at_work(self, state: str) -> str:
        said = [] if state == STANDBY else [self.stats.brief()]
        if self._standing_by:
            said.append(f"{', '.join(self._standing_by)} left to another daemon")
        said += [f"{queue} failing: {why}" for queue, why in self._failing.items()]
        return "; ".join(said)

    def _state(self, silent_s: float) -> tuple[str, str | None]:
        """Return the state for the health file, and which server it waits for."""
        if self._is_draining:
            return "draining", None
        is_silent = silent_s >= _SILENT_AFTER_S
        if self._is_running and not is_silent:
            at_work = RUNNING if self._takes_any else STANDBY
            return ("blocked" if self._is_blocked else at_work), None
        waiting_for = "database" if is_silent else self._waiting_for
        return ("paused" if self._is_ready else "starting"), waiting_for


def _errno_of(error: BaseException | None) -> int | None:
    """Return the system's number for the error, or for what caused it, if there is one."""
    while error is not None:
        if isinstance(error, OSError) and error.errno:
            return error.errno
        error = error.__cause__
    return None
