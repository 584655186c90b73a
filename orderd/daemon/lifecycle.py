"""How the daemon is, told to everyone: log, event listeners, and by its status."""

import os
import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from logging import WARNING
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from orderd import __version__
from orderd.amqp.declaration import Declaration
from orderd.amqp.faults import BrokerFault, BrokerRefused, TopologyMismatch
from orderd.config.authorization import described
from orderd.db.faults import DatabaseRefused, SchemaFault
from orderd.logs.logger import Event, emit
from orderd.pipeline.outbox.publish import event_message
from orderd.pipeline.outbox.rows import OutboxRow
from orderd.protocol.cloud_events import Event as CloudEvent
from orderd.protocol.exit_codes import ExitCode
from orderd.protocol.strict_json import dumps
from orderd.runtime.config_errors import ConfigError

if TYPE_CHECKING:
    from orderd.daemon.app import App

_LOST: Final = {
    "database": Event.DATABASE_DISCONNECTED,
    "broker": Event.BROKER_DISCONNECTED,
}
_REFUSED: Final = {
    "database": Event.DATABASE_REFUSED,
    "broker": Event.BROKER_REFUSED,
}
_ORDER_LOST: Final = (
    "commands take effect in the order sent only among those that one daemon takes; "
    'consume = "exclusive" keeps it'
)
_LOSES: Final = (
    "is of a former version: a message whose delay ends while its queue is full, missing or down "
    "is lost"
)
# Nobody mends it but an operator, who may look at the log at any time.
REFUSED_AGAIN_S: Final = 60.0


class State:
    """Tells of each change of state once; all wording of it is here."""

    def __init__(self, app: "App") -> None:
        """Tell of the daemon that consists of *app*."""
        self._app = app
        self._lost: set[str] = set()
        self._refused: dict[str, str] = {}
        self._refused_again_at_s: dict[str, float] = {}
        self._paused_since_s: float | None = None
        self._is_running = False
        self._switched_off: tuple[str, ...] = ()
        self._blocked_since_s: float | None = None
        self._standing_by: Sequence[str] = ()
        self._failing: Mapping[str, str] = {}
        self._shared: Mapping[str, int] = {}
        self._outdated: set[str] = set()
        self._changed: str | None = None
        self.has_been_running = False

    @property
    def paused_for_s(self) -> float:
        """Return how long the intake has been paused, 0 while it is not."""
        return 0.0 if self._paused_since_s is None else time.monotonic() - self._paused_since_s

    def started(self) -> None:
        """Tell that the program runs; it may still have to wait for its servers."""
        settings = self._app.settings
        emit(
            Event.DAEMON_STARTED,
            f"orderd {__version__} as {settings.instance_name}, pid {os.getpid()}, batches of up "
            f"to {settings.batch_max}, prefetch {settings.prefetch_count}, authorization "
            f"{described(settings)}",
        )
        self._app.status.starting()

    def database_connected(self, missing: Sequence[str]) -> None:
        """Tell that PostgreSQL is there, and what is *missing* in it that is no hindrance."""
        self._forget_loss("database")
        emit(Event.DATABASE_CONNECTED, "connected to PostgreSQL")
        for said in missing:
            emit(Event.SCHEMA_WEAKENED, said)
        switched_off = self._app.database.switched_off
        if switched_off and switched_off != self._switched_off:
            text = (
                f"{', '.join(switched_off)} off: a power cut may lose or damage what is committed"
            )
            emit(Event.DURABILITY_WEAKENED, text)
        self._switched_off = switched_off

    def broker_connected(self) -> None:
        """Tell that RabbitMQ is there and delivers."""
        self._forget_loss("broker")
        emit(Event.BROKER_CONNECTED, f"connected to RabbitMQ at {self._app.publisher.where}")
        if taken := self._app.consumer.consumers:
            emit(Event.CONSUMER_STARTED, f"taking commands from {', '.join(taken)}")
        self.note_consumers()

    def note_consumers(self) -> None:
        """Tell, once per change, which queues are left to others, are shared, or are failing."""
        consumer = self._app.consumer
        why = consumer.standing_by
        queues = tuple(why)
        if taken_over := [queue for queue in self._standing_by if queue not in why]:
            emit(Event.CONSUMER_TOOK_OVER, f"taking commands from {', '.join(taken_over)}")
        if left := [f"{queue}: {why[queue]}" for queue in why if queue not in self._standing_by]:
            emit(Event.CONSUMER_STANDBY, f"left to another daemon: {'; '.join(left)}")
        if queues != self._standing_by:
            self._standing_by = queues
            self._app.status.standing_by(queues, takes_any=bool(consumer.consumers))
        self._note_failing(consumer.failing)
        self._note_declaration(consumer.declaration)
        shared = {queue: count for queue, count in consumer.consumers.items() if count > 1}
        if shared != self._shared:
            self._shared = shared
            if shared:
                counts = ", ".join(f"{queue} ({count})" for queue, count in shared.items())
                emit(Event.CONSUMER_SHARED, f"several consumers: {counts}: {_ORDER_LOST}")

    def _note_failing(self, failing: Mapping[str, str]) -> None:
        if failing == self._failing:
            return
        for queue, why in failing.items():
            if why != self._failing.get(queue):
                emit(Event.QUEUE_FAILING, f"queue {queue}: {why}", queue=queue)
        for queue in self._failing:
            if queue not in failing:
                emit(Event.QUEUE_RECOVERED, f"taking commands from {queue} again", queue=queue)
        self._failing = dict(failing)
        self._app.status.failing_queues(self._failing)

    def _note_declaration(self, declaration: Declaration) -> None:
        """Tell, once in a run, of retry queues that may lose messages; of a changed exchange."""
        for queue, advice in declaration.former.items():
            if queue not in self._outdated:
                self._outdated.add(queue)
                text = f"retry queue {queue} {_LOSES}: {advice}"
                emit(Event.QUEUE_OUTDATED, text, queue=queue)
        if declaration.changed not in {None, self._changed}:
            text = f"{declaration.changed}; commands go on"
            emit(Event.TOPOLOGY_MISMATCHED, text, level=WARNING)
        self._changed = declaration.changed

    def running(self) -> None:
        """Tell, once per change, that work goes on."""
        if self._is_running:
            return
        self._is_running = True
        if self.has_been_running:
            seconds = self.paused_for_s
            emit(Event.INTAKE_RESUMED, f"working again after {seconds:.1f} s")
            self._announce("system.resumed", {"paused_seconds": Decimal(f"{seconds:.1f}")})
        else:
            self.has_been_running = True
            self._announce("system.started", {})
        self._paused_since_s = None
        self._app.status.running()

    def paused(self, dependency: str, fault: Exception) -> None:
        """Tell which server is away and why, once per outage; of a refusal, every minute."""
        is_refusal = isinstance(fault, DatabaseRefused | BrokerRefused)
        self._refused.pop(dependency, None)
        if is_refusal:
            self._refused[dependency] = str(fault)
            self.remind()
        elif dependency not in self._lost:
            self._lost.add(dependency)
            emit(_LOST[dependency], str(fault))
        if not self._app.publisher.is_ready:
            self._forget_blocked()
        if self._paused_since_s is None:
            self._paused_since_s = time.monotonic()
            if self.has_been_running:
                emit(Event.INTAKE_PAUSED, f"waiting for the {dependency}: nothing is lost by that")
        if self._is_running:
            self._is_running = False
            self._announce("system.paused", {"waiting_for": dependency})
        why = str(fault) if is_refusal else f"waiting for the {dependency}: {fault}"
        self._app.status.waiting(dependency, why)

    def remind(self) -> None:
        """Tell again, where it is time for that, what is refused until somebody acts."""
        now_s = time.monotonic()
        for dependency, why in self._refused.items():
            if now_s >= self._refused_again_at_s.get(dependency, 0.0):
                self._refused_again_at_s[dependency] = now_s + REFUSED_AGAIN_S
                emit(_REFUSED[dependency], why)

    def note_blocked(self, *, is_blocked: bool) -> None:
        """Tell, once per change, whether the broker takes messages.

        Its listeners learn of both when it takes messages again.
        """
        if is_blocked is (self._blocked_since_s is not None):
            return
        self._app.status.blocked(is_blocked=is_blocked)
        if self._blocked_since_s is None:
            self._blocked_since_s = time.monotonic()
            emit(Event.BROKER_BLOCKED, "RabbitMQ takes no messages (memory or disk alarm)")
            self._announce("system.paused", {"waiting_for": "broker"})
        else:
            seconds = time.monotonic() - self._blocked_since_s
            self._blocked_since_s = None
            emit(Event.BROKER_UNBLOCKED, f"RabbitMQ takes messages again after {seconds:.1f} s")
            self._announce("system.resumed", {"paused_seconds": Decimal(f"{seconds:.1f}")})

    def batch_committed(self, size: int, duration_s: float) -> None:
        """Tell that a batch is in the database and on its way to be settled."""
        emit(
            Event.BATCH_COMMITTED,
            f"{size} in {duration_s * 1000:.0f} ms",
            batch_size=size,
            duration_ms=round(duration_s * 1000, 1),
        )

    def outbox_recovered(self, rows: int) -> None:
        """Tell that events which a crash had left behind were published."""
        if rows:
            emit(Event.OUTBOX_RECOVERED, f"{rows} events left behind were published")

    def housekeeping_delayed(self, fault: Exception) -> None:
        """Tell that published events could not be deleted, or left behind ones not claimed, yet."""
        emit(Event.BATCH_RETRIED, f"looking after the outbox is tried again: {fault}")

    def gave_back(self, deliveries: int) -> None:
        """Tell that the broker has messages again that were in hand here."""
        emit(Event.MESSAGE_REQUEUED, f"{deliveries} messages given back to the broker")

    def log_if_asked(self) -> None:
        """Log a line on the daemon's state where SIGUSR1 asked for one."""
        if self._app.signals.take_status():
            inbox = len(self._app.consumer.inbox)
            stats = self._app.status.stats
            emit(Event.STATUS_LOGGED, f"{stats}; {inbox} deliveries in hand")

    def draining(self, timeout_s: float) -> None:
        """Tell that a stop was asked for."""
        signal_name = self._app.signals.stop_signal
        emit(Event.DAEMON_DRAINING, f"{signal_name}: finishing what is in hand ({timeout_s:g} s)")
        self._announce("system.stopping", {"signal": signal_name})
        self._app.status.draining()

    def drain_cut_short(self, fault: Exception) -> None:
        """Tell that the broker will deliver again what was in hand."""
        emit(Event.MESSAGE_REQUEUED, f"drain cut short, the broker delivers again: {fault}")

    def gave_up(self) -> None:
        """Tell that a second signal, or the time limit, ended the drain."""
        emit(Event.MESSAGE_REQUEUED, "drain given up: the broker delivers again what was in hand")

    def stopped(self) -> None:
        """Tell that the daemon ends as asked."""
        emit(Event.DAEMON_STOPPED, f"stopped; {self._app.status.stats}")

    def failed(self, error: Exception, code: ExitCode) -> ExitCode:
        """Tell why the daemon cannot go on; return *code*."""
        event = Event.DAEMON_FAILED
        if isinstance(error, SchemaFault):
            event = Event.SCHEMA_OUTDATED
        elif isinstance(error, TopologyMismatch):
            event = Event.TOPOLOGY_MISMATCHED
        elif isinstance(error, ConfigError):
            event = Event.CONFIG_REJECTED
        emit(event, str(error), error=error)
        self._app.status.failed(code, error)
        return code

    def _forget_blocked(self) -> None:
        """Claim no end of an alarm that nobody saw: the connection that told of it is lost."""
        if self._blocked_since_s is not None:
            self._blocked_since_s = None
            self._app.status.blocked(is_blocked=False)

    def _forget_loss(self, dependency: str) -> None:
        self._lost.discard(dependency)
        self._refused.pop(dependency, None)
        self._refused_again_at_s.pop(dependency, None)

    def _announce(self, event_type: str, told: dict[str, object]) -> None:
        """Publish an event of the system itself: best effort, nothing depends on it."""
        if not self._app.publisher.is_ready:
            return
        settings = self._app.settings
        content = dumps({"instance": settings.instance_name, "version": __version__, **told})
        event = CloudEvent(event_type, f"instance/{settings.instance_name}", content)
        event_id = str(uuid4())
        body = event.body(event_id, settings.events_source, self._app.database.clock.now(), None)
        try:
            self._app.publisher.publish([event_message(OutboxRow(0, event_id, event_type, body))])
        except BrokerFault:
            return
