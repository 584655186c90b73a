"""Announces each change of the daemon's state once: log, STATUS, and events of the system."""

import os
import time
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from orderd import __version__
from orderd.amqp.faults import BrokerRefused, TopologyMismatch
from orderd.config.settings import Settings
from orderd.daemon.lifecycle import Lifecycle
from orderd.daemon.pause_record import Pause
from orderd.daemon.status_reporter import StatusReporter
from orderd.daemon.system_events import SystemEvents
from orderd.db.faults import DatabaseRefused, SchemaFault
from orderd.logs.logger import LogEvent, emit
from orderd.pipeline.stats import Stats
from orderd.protocol.cloud_events import SystemEvent
from orderd.protocol.exit_codes import ExitCode
from orderd.protocol.rows import rfc3339
from orderd.runtime.config_errors import ConfigError

_LOST: Final = {
    "database": LogEvent.DATABASE_DISCONNECTED,
    "broker": LogEvent.BROKER_DISCONNECTED,
}
_REFUSED: Final = {
    "database": LogEvent.DATABASE_REFUSED,
    "broker": LogEvent.BROKER_REFUSED,
}
# Only an operator can change a refusal, and may look at the log at any time.
REFUSED_AGAIN_S: Final = 60.0


class Announcer:
    """Makes the transitions of *lifecycle*, and announces those that change something."""

    def __init__(
        self, lifecycle: Lifecycle, status: StatusReporter, events: SystemEvents, stats: Stats
    ) -> None:
        """Announce by log, *status* and *events*; *stats* are logged on demand and at the end."""
        self._lifecycle = lifecycle
        self._status = status
        self._events = events
        self._stats = stats
        self._lost: set[str] = set()
        self._refused: dict[str, str] = {}
        self._refused_again_at_s: dict[str, float] = {}
        self._switched_off: tuple[str, ...] = ()

    def started(self, settings: Settings, program: str, about: str) -> None:
        """Announce that *program* runs, and *about* its work; it may still wait for servers."""
        emit(
            LogEvent.DAEMON_STARTED,
            f"{program} {__version__} as {settings.instance_name}, pid {os.getpid()}, batches of "
            f"up to {settings.batch_max}, prefetch {settings.prefetch_count}{about}",
        )
        self._status.starting()

    def database_connected(self, missing: Sequence[str], switched_off: tuple[str, ...]) -> None:
        """Announce PostgreSQL, what is *missing* in its schema, and its durability settings."""
        self._forget_loss("database")
        self._lifecycle.connected("database")
        emit(LogEvent.DATABASE_CONNECTED, "connected to PostgreSQL")
        for text in missing:
            emit(LogEvent.SCHEMA_WEAKENED, text)
        if switched_off and switched_off != self._switched_off:
            text = f"{', '.join(switched_off)} off: a power failure may lose or damage data"
            emit(LogEvent.DURABILITY_WEAKENED, text)
        self._switched_off = switched_off

    def broker_connected(self, where: str | None, queues: Sequence[str]) -> None:
        """Announce RabbitMQ at *where*, and the *queues* that are consumed."""
        self._forget_loss("broker")
        self._lifecycle.connected("broker")
        emit(LogEvent.BROKER_CONNECTED, f"connected to RabbitMQ at {where}")
        if queues:
            emit(LogEvent.CONSUMER_STARTED, f"consuming from {', '.join(queues)}")

    def running(self) -> None:
        """Announce, once per change, that commands are taken."""
        is_resumed, seconds = self._lifecycle.has_been_running, self._lifecycle.paused_s
        if not self._lifecycle.run():
            return
        if is_resumed:
            emit(LogEvent.INTAKE_RESUMED, f"resumed after {seconds:.1f} s")
            self._events.publish(SystemEvent.RESUMED, {"paused_seconds": Decimal(f"{seconds:.1f}")})
        else:
            self._events.publish(SystemEvent.STARTED, {})
        self._status.running()

    def paused(self, dependency: str, fault: Exception) -> None:
        """Announce which server is away and why, once per outage; a refusal every minute."""
        is_refusal = isinstance(fault, DatabaseRefused | BrokerRefused)
        self._refused.pop(dependency, None)
        if is_refusal:
            self._refused[dependency] = str(fault)
            self.remind()
        elif dependency not in self._lost:
            self._lost.add(dependency)
            emit(_LOST[dependency], str(fault))
        is_first = not self._lifecycle.is_paused
        was_running = self._lifecycle.pause(dependency)
        if is_first and self._lifecycle.has_been_running:
            emit(LogEvent.INTAKE_PAUSED, f"waiting for the {dependency}; messages stay queued")
        if was_running:
            self._events.publish(SystemEvent.PAUSED, {"waiting_for": dependency})
        self._status.waiting(str(fault) if is_refusal else f"waiting for the {dependency}: {fault}")

    def remind(self) -> None:
        """Log refusals again, when it is time for that."""
        now_s = time.monotonic()
        for dependency, why in self._refused.items():
            if now_s >= self._refused_again_at_s.get(dependency, 0.0):
                self._refused_again_at_s[dependency] = now_s + REFUSED_AGAIN_S
                emit(_REFUSED[dependency], why)

    def blocked(self, *, is_blocked: bool) -> None:
        """Announce, once per change, whether RabbitMQ takes messages.

        Listeners learn of both when it takes messages again.
        """
        seconds = self._lifecycle.blocked_s
        if not self._lifecycle.block(is_blocked=is_blocked):
            return
        self._status.blocked()
        if is_blocked:
            emit(LogEvent.BROKER_BLOCKED, "RabbitMQ blocks publishers (memory or disk alarm)")
            self._events.publish(SystemEvent.PAUSED, {"waiting_for": "broker"})
        else:
            emit(
                LogEvent.BROKER_UNBLOCKED, f"RabbitMQ accepts messages again after {seconds:.1f} s"
            )
            self._events.publish(SystemEvent.RESUMED, {"paused_seconds": Decimal(f"{seconds:.1f}")})

    def queue_paused(self, pause: Pause, *, is_event: bool) -> None:
        """Announce that nothing is taken from a queue; by an event too where *is_event*."""
        until = "" if pause.ends_at is None else f" until {rfc3339(pause.ends_at)}"
        text = f"queue {pause.queue} paused{until} by {pause.paused_by}: {pause.reason}"
        emit(LogEvent.QUEUE_PAUSED, text, queue=pause.queue)
        self._status.changed()
        if is_event:
            told = {"queue": pause.queue, "reason": pause.reason, "by": pause.paused_by}
            if pause.ends_at is not None:
                told["until"] = rfc3339(pause.ends_at)
            self._events.publish(SystemEvent.QUEUE_PAUSED, told)

    def queue_resumed(self, queue: str, *, is_event: bool) -> None:
        """Announce that a queue is consumed again; by an event too where *is_event*."""
        emit(LogEvent.QUEUE_RESUMED, f"queue {queue} resumed", queue=queue)
        self._status.changed()
        if is_event:
            self._events.publish(SystemEvent.QUEUE_RESUMED, {"queue": queue})

    def forget_alarm(self) -> None:
        """Forget an alarm whose connection is lost: whether it has ended is unknown."""
        if self._lifecycle.block(is_blocked=False):
            self._status.blocked()

    def outbox_recovered(self, rows: int) -> None:
        """Announce that events which a crash had left behind were published."""
        if rows:
            emit(
                LogEvent.OUTBOX_RECOVERED,
                f"published {rows} events that a crash had left in the outbox",
            )

    def housekeeping_delayed(self, fault: Exception) -> None:
        """Announce that the outbox could not be cleaned up or searched now."""
        emit(LogEvent.BATCH_RETRIED, f"outbox housekeeping failed and will be retried: {fault}")

    def gave_back(self, deliveries: int) -> None:
        """Announce that unacked messages were returned to the broker."""
        emit(LogEvent.MESSAGE_REQUEUED, f"{deliveries} messages returned to the broker")

    def log_status(self, inbox: int) -> None:
        """Log a line about the state of the daemon, with *inbox* deliveries waiting."""
        emit(LogEvent.STATUS_LOGGED, f"{self._stats}; {inbox} unacked deliveries in the inbox")

    def draining(self, signal_name: str, timeout_s: float) -> None:
        """Announce that a stop was asked for."""
        text = f"{signal_name}: finishing the unacked messages ({timeout_s:g} s at most)"
        emit(LogEvent.DAEMON_DRAINING, text)
        self._events.publish(SystemEvent.STOPPING, {"signal": signal_name})
        self._status.draining()

    def drain_cut_short(self, fault: Exception) -> None:
        """Announce that the broker will redeliver the unacked messages."""
        emit(
            LogEvent.MESSAGE_REQUEUED,
            f"drain interrupted; the broker redelivers the unacked messages: {fault}",
        )

    def gave_up(self) -> None:
        """Announce that a second signal, or the time limit, ended the drain."""
        emit(
            LogEvent.MESSAGE_REQUEUED,
            "drain ended early; the broker redelivers the unacked messages",
        )

    def stopped(self) -> None:
        """Announce that the daemon ends as asked."""
        emit(LogEvent.DAEMON_STOPPED, f"stopped; {self._stats}")

    def failed(self, error: Exception, code: ExitCode) -> ExitCode:
        """Announce why the daemon cannot go on; return *code*."""
        event = LogEvent.DAEMON_FAILED
        if isinstance(error, SchemaFault):
            event = LogEvent.SCHEMA_OUTDATED
        elif isinstance(error, TopologyMismatch):
            event = LogEvent.TOPOLOGY_MISMATCHED
        elif isinstance(error, ConfigError):
            event = LogEvent.CONFIG_REJECTED
        emit(event, str(error), error=error)
        self._status.failed(code, error)
        return code

    def _forget_loss(self, dependency: str) -> None:
        self._lost.discard(dependency)
        self._refused.pop(dependency, None)
        self._refused_again_at_s.pop(dependency, None)
