"""Renders the lifecycle for the service manager and the health file."""

import errno
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from orderd.daemon.lifecycle import Lifecycle
from orderd.pipeline.stats import Stats
from orderd.protocol.exit_codes import ExitCode
from orderd.runtime.health import Health
from orderd.runtime.phase import Phase
from orderd.runtime.systemd import Notifier

_ERRNO: Final = {ExitCode.CONFIG: errno.EINVAL, ExitCode.UNAVAILABLE: errno.EHOSTUNREACH}
_STATUS_EVERY_S: Final = 5.0
# A database that has not answered for this long is not one to send work to.
_SILENT_AFTER_S: Final = 15.0


class StatusReporter:
    """Reports the phase of *lifecycle*, and that the loop is alive."""

    def __init__(
        self, notifier: Notifier, health: Health, lifecycle: Lifecycle, stats: Stats
    ) -> None:
        """Report to *notifier* and *health*, with the rate from *stats*."""
        self._notifier = notifier
        self._health = health
        self._lifecycle = lifecycle
        self._stats = stats
        self._is_ready = False
        self._is_stopping = False
        self._next_status_s = 0.0
        self._rejected_reload = ""

    def claim_health_file(self) -> None:
        """Lock the health file; raises ValueError where another daemon writes to it."""
        self._health.claim()

    def tick(self, silent_s: float = 0.0) -> None:
        """Report that the loop is alive; the database has not answered for *silent_s* seconds.

        Cheap to call often: most calls do nothing.
        """
        phase, waiting_for = self._shown(silent_s)
        self._health.note(phase, waiting_for, self._lifecycle.standing_by)
        self._notifier.watchdog()
        if self._is_stopping or not self._is_ready:
            self._notifier.extend_timeout()
        now_s = time.monotonic()
        if phase.is_working and now_s >= self._next_status_s:
            self._next_status_s = now_s + _STATUS_EVERY_S
            self._notifier.status(f"{phase}: {self._at_work(phase)}")

    def expect_watchdog(self, watchdog_s: float) -> None:
        """Assume this watchdog interval where the service manager did not name its own."""
        self._notifier.expect_watchdog(watchdog_s)

    def starting(self) -> None:
        """Report that the program has started."""
        self._notifier.status(Phase.STARTING)
        self.tick()

    def running(self) -> None:
        """Report that commands are taken; the first time, that start-up is complete."""
        self.changed()
        if not self._is_ready:
            self._is_ready = True
            self._notifier.ready()
        self.tick()

    def changed(self) -> None:
        """Report the phase with the next `tick`, even if the interval is not over."""
        self._next_status_s = 0.0

    def waiting(self, why: str) -> None:
        """Show why no commands are taken."""
        self._notifier.status(f"{self._lifecycle.phase_without_server}: {why}")
        self.tick()

    def blocked(self) -> None:
        """Show whether the broker takes messages."""
        self.changed()
        if self._lifecycle.is_blocked:
            self._notifier.status("blocked: RabbitMQ blocks publishers")

    def draining(self) -> None:
        """Report that the daemon finishes its unacked messages and consumes no more."""
        self._lifecycle.drain()
        if not self._is_stopping:
            self._is_stopping = True
            self._notifier.stopping(Phase.DRAINING)
            self.tick()

    @contextmanager
    def reloading(self) -> Iterator[None]:
        """Report a reload around the block, unless the daemon is still starting."""
        if not self._is_ready:
            yield
            return
        self._notifier.reloading()
        try:
            yield
        finally:
            # `systemctl reload` returns with what became of it in the status line.
            self.changed()
            self.tick()
            self._notifier.ready()

    def reloaded(self, rejected: str = "") -> None:
        """Show until the next reload why this one was *rejected*, if it was."""
        self._rejected_reload = rejected

    def failed(self, code: ExitCode, error: BaseException) -> None:
        """Show why the daemon is about to end."""
        self._notifier.failed(int(code), str(error), _errno_of(error) or _ERRNO.get(code))

    def _at_work(self, phase: Phase) -> str:
        parts = [] if phase is Phase.STANDBY else [self._stats.brief()]
        if self._lifecycle.standing_by:
            parts.append(f"{', '.join(self._lifecycle.standing_by)} left to another daemon")
        parts += [f"{queue} paused: {why}" for queue, why in self._lifecycle.paused_queues.items()]
        if self._rejected_reload:
            parts.append(f"reload rejected: {self._rejected_reload}")
        parts += [f"{queue} failing: {why}" for queue, why in self._lifecycle.failing.items()]
        return "; ".join(parts)

    def _shown(self, silent_s: float) -> tuple[Phase, str | None]:
        """Return the phase for the health file, and which server it waits for."""
        phase = self._lifecycle.phase
        if silent_s >= _SILENT_AFTER_S and phase is not Phase.DRAINING:
            return self._lifecycle.phase_without_server, "database"
        is_waiting = phase in {Phase.STARTING, Phase.PAUSED}
        return phase, self._lifecycle.waiting_for if is_waiting else None


def _errno_of(error: BaseException | None) -> int | None:
    """Return the system's number for the error, or for what caused it, if there is one."""
    while error is not None:
        if isinstance(error, OSError) and error.errno:
            return error.errno
        error = error.__cause__
    return None
