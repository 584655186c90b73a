"""What is built from what: all parts of the daemon, made from its settings; nothing is global."""

from typing import TYPE_CHECKING

from orderd.amqp.consumer import Consumer
from orderd.amqp.publisher import Publisher
from orderd.amqp.stepwise import StepwisePublisher
from orderd.config.settings import Settings
from orderd.daemon.announcer import Announcer
from orderd.daemon.broker import broker_endpoint
from orderd.daemon.fleet_entry import FleetEntry
from orderd.daemon.keepalive import KeepAlive
from orderd.daemon.lifecycle import Lifecycle
from orderd.daemon.memory_relief import MemoryRelief
from orderd.daemon.metrics_file import MetricsFile
from orderd.daemon.pause_record import PauseRecord
from orderd.daemon.pauses import Pauses
from orderd.daemon.queue_watch import QueueWatch
from orderd.daemon.status_reporter import StatusReporter
from orderd.daemon.system_events import SystemEvents
from orderd.daemon.work import Parts, Program
from orderd.db.connection import Database
from orderd.pipeline.batch import Pipeline
from orderd.pipeline.context import Withheld
from orderd.pipeline.direct_replies import DirectReplies
from orderd.pipeline.dispatch import Dispatcher
from orderd.pipeline.kill_switch import KillSwitch
from orderd.pipeline.measures import Measures
from orderd.pipeline.outbound import OutboundMessages
from orderd.pipeline.outbox.rows import Confirmed
from orderd.pipeline.overlap import Overlap
from orderd.pipeline.policy import Policy
from orderd.pipeline.quarantine import Quarantine
from orderd.pipeline.receipts import Receipts
from orderd.pipeline.replacement import Replacement
from orderd.pipeline.report import Reporter
from orderd.pipeline.settle import Settler
from orderd.pipeline.stats import Stats
from orderd.runtime.health import Health
from orderd.runtime.signals import Signals
from orderd.runtime.systemd import Notifier
from orderd.shop.authorize import Grant, Grants

if TYPE_CHECKING:
    from orderd.daemon.exposition import Exposition


class App:
    """The parts of the daemon, each given what it works with; nothing is connected yet."""

    def __init__(
        self, program: Program, settings: Settings, signals: Signals, notifier: Notifier
    ) -> None:
        """Build all parts of *program*; raises ValueError for a URL that cannot be used."""
        self.settings = settings
        self.signals = signals
        self.tenant = program.tenant
        self._build_runtime(program, notifier)
        self._build_connections(program)
        events = SystemEvents(settings, self.publisher, self.database.clock)
        self.announcer = Announcer(self.lifecycle, self.status, events, self.stats)
        self._build_pipeline(program)
        self.watch = QueueWatch(self.consumer, self.lifecycle)
        self.pauses = Pauses(
            PauseRecord(self.database, self.tenant.queues, settings.instance_name),
            self.consumer,
            self.kill_switch,
            self.lifecycle,
            self.announcer,
        )
        self.fleet_entry = FleetEntry(
            self.database,
            self.tenant.program,
            settings.instance_name,
            self.lifecycle,
            self.stats,
            in_hand=lambda: self.consumer.unacked,
        )
        relief = MemoryRelief(
            self.consumer, self.publisher, self.announcer, self.keepalive.during_call
        )
        self.keepalive.tasks = (
            self.serve_broker,
            relief.take,
            self.direct_replies.pump,
            self._log_status_if_asked,
            self.metrics.tick,
        )
        self.keepalive.statement_tasks = (self._read_broker, self.direct_replies.pump)
        self.overlap.jobs = (self.settler.step, *self.work.jobs)

    def _build_runtime(self, program: Program, notifier: Notifier) -> None:
        """Build what tells others how the daemon is."""
        self._health = Health(self.settings.health_file)
        self.metrics = MetricsFile(self.settings.metrics_file, self._exposed)
        self.lifecycle = Lifecycle()
        self.stats = Stats(Measures(program.labels()))
        self.status = StatusReporter(notifier, self._health, self.lifecycle, self.stats)
        self.keepalive = KeepAlive(
            self.status, self.signals, lambda: self.settings.shutdown_timeout
        )
        self.overlap = Overlap()
        self._exposition: Exposition | None = None

    def _build_connections(self, program: Program) -> None:
        settings, tenant = self.settings, program.tenant
        self.database = Database(
            settings.database_url.get_secret_value(),
            tenant.program,
            prepared=program.prepared,
            on_slice=self.keepalive.during_statement,
            meanwhile=self.overlap.work,
        )
        endpoint = broker_endpoint(settings, tenant.program)
        self.consumer = Consumer(
            endpoint,
            tenant,
            settings.prefetch_count,
            settings.retry_delays,
            settings.queue_type,
            exclusive=settings.exclusive_queues,
            now_s=self.database.clock.seconds,
        )
        self.publisher = Publisher(endpoint)
        self._replier = StepwisePublisher(endpoint)

    def _build_pipeline(self, program: Program) -> None:
        self.policy = policy_of(self.settings)
        self.quarantine = Quarantine(self.database)
        self.receipts = Receipts()
        reporter, confirmed = Reporter(self.stats.measures.replies_unsent), Confirmed()
        self.direct_replies = DirectReplies(self._replier, self.publisher, reporter)
        self.work = program.work(self._parts(confirmed))
        self.settler = Settler(
            self.consumer,
            self.publisher,
            Dispatcher(
                self.publisher, self.direct_replies, confirmed, self.consumer.in_flight, reporter
            ),
            confirmed,
            quarantine=self.quarantine,
            note_dead=self.work.note_dead,
            outbound=OutboundMessages(
                self.policy, self.receipts, reporter, self.database.clock.now
            ),
            direct_replies=self.direct_replies,
            reporter=reporter,
            stats=self.stats,
            keep_alive=self.keepalive,
        )
        self.replacement = Replacement(
            self.consumer,
            self.publisher,
            reporter,
            receipt=self.receipts.headers,
            keep_alive=self.keepalive,
        )
        self.kill_switch = KillSwitch(self.policy)
        self.pipeline = Pipeline(
            self.consumer.inbox,
            self.policy,
            self.stats,
            quarantine=self.quarantine,
            decoder=self.work.decoder,
            committer=self.work.committer,
            settler=self.settler,
            kill_switch=self.kill_switch,
            overlap=self.overlap,
            keep_alive=self.keepalive,
        )

    def _parts(self, confirmed: Confirmed) -> Parts:
        return Parts(
            settings=self.settings,
            policy=self.policy,
            database=self.database,
            consumer=self.consumer,
            publisher=self.publisher,
            quarantine=self.quarantine,
            receipts=self.receipts,
            confirmed=confirmed,
            measures=self.stats.measures,
            announcer=self.announcer,
            keep_alive=self.keepalive,
            # The settler is made after the work, whose results it settles.
            retried=lambda: self.settler.retried(),  # noqa: PLW0108
            finish=lambda: self.settler.finish(),  # noqa: PLW0108
            assert_able=self._assert_able,
        )

    @property
    def is_broker_connected(self) -> bool:
        """Whether commands are being delivered and events can be published."""
        return self.consumer.is_ready and self.publisher.is_ready

    def connect_broker(self) -> None:
        """Connect publisher, then consumer: what is consumed can also be settled."""
        if not self.consumer.is_ready:
            self.disconnect_broker()
        if not self.publisher.is_ready:
            self.publisher.connect(self.keepalive)
            # In an alarm nothing could be settled, so nothing is begun.
            self.publisher.find_alarm()
        if not self.consumer.is_ready:
            self.consumer.connect(self.keepalive.during_call)

    def disconnect_broker(self) -> None:
        """Close all its connections; the broker delivers again what was not acked."""
        self.settler.abandon()
        self.consumer.close()
        self.publisher.close()
        self.direct_replies.close()

    def watch_queues(self) -> None:
        """Log which queues are left to others or failing, where that has changed."""
        if self.watch.look():
            self.status.changed()

    def serve_broker(self) -> None:
        """Read what the broker has sent, and note what it says of queues and alarms."""
        if self.consumer.is_ready:
            self.consumer.poll(0)
            self.watch_queues()
        if self.publisher.is_ready:
            self.publisher.pump()
            self.announcer.blocked(is_blocked=self.publisher.blocked)

    def forget_ended(self) -> None:
        """Delete the records of messages that were settled since the last time."""
        self.quarantine.forget_settled()
        self.work.tidy()

    def announce_pause(self, dependency: str, fault: Exception) -> None:
        """Announce which server is away; the alarm of a lost connection is no longer known."""
        if not self.publisher.is_ready:
            self.announcer.forget_alarm()
        self.announcer.paused(dependency, fault)

    def close(self) -> None:
        """Close every connection; never raises."""
        self.disconnect_broker()
        self.direct_replies.drop("the daemon ends")
        self.work.close()
        self.database.close()
        self.metrics.write()
        self._health.close()

    def _assert_able(self) -> None:
        if self.overlap.has_failed:
            # Not the batch's own fault: it is tried again once that was raised.
            raise Withheld
        self.settler.assert_able()

    def _read_broker(self) -> None:
        if self.is_broker_connected:
            self.consumer.poll(0)
            self.publisher.pump()

    def _exposed(self) -> bytes:
        if self._exposition is None:
            # prometheus_client takes its time to load: neither a start waits for it nor a drain.
            from orderd.daemon.exposition import Exposition  # noqa: PLC0415

            self._exposition = Exposition(
                self.settings.instance_name,
                self.stats.measures,
                self.lifecycle,
                lambda: self.consumer.unacked,
            )
        return self._exposition.text()

    def _log_status_if_asked(self) -> None:
        if self.signals.take_status():
            self.announcer.log_status(len(self.consumer.inbox))


def policy_of(settings: Settings) -> Policy:
    """Return what *settings* say of the treatment of messages."""
    return Policy(
        body_bytes_max=settings.body_bytes_max,
        reply_bytes_max=settings.reply_bytes_max,
        reply_queues=settings.reply_queues,
        retry_delays_s=settings.retry_delays,
        lock_patience_s=settings.lock_patience,
        poison_after=settings.poison_after,
        trip_after=settings.trip_after,
        events_source=settings.events_source,
        grants=grants_of(settings),
    )


def grants_of(settings: Settings) -> Grants:
    """Return which token may send what; None where every command is allowed."""
    if settings.authorization_mode == "none":
        return None
    tokens = settings.tokens.items() if settings.takes_tokens else ()
    return {token.sha256: Grant(name, token.allow) for name, token in tokens}
