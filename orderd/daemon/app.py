"""Everything the daemon consists of, built from its settings and passed on; nothing is global."""

import os
from collections.abc import Callable
from typing import Final

from orderd import __version__
from orderd.amqp.consumer import Consumer
from orderd.amqp.endpoint import BrokerEndpoint
from orderd.amqp.publisher import Publisher
from orderd.amqp.stepwise import StepwisePublisher
from orderd.config.settings import Settings
from orderd.daemon.status_reporter import StatusReporter
from orderd.db.connection import Database
from orderd.pipeline.commit import Committer, Limits
from orderd.pipeline.deferrals import Deferrals
from orderd.pipeline.direct_replies import DirectReplies
from orderd.pipeline.outbound import OutboundMessages, SettlePolicy
from orderd.pipeline.outbox.publish import Sweeper
from orderd.pipeline.outbox.rows import Confirmed
from orderd.pipeline.quarantine import Quarantine
from orderd.pipeline.report import Reporter
from orderd.pipeline.settle import Settler
from orderd.protocol.names import Queue, own_queues
from orderd.runtime.health import Health
from orderd.runtime.signals import Signals
from orderd.runtime.systemd import Service
from orderd.shop.authorize import Grants

# An alarm of the broker may last; the loop waits for its end in slices and holds what it has.
BLOCKED_TIMEOUT_S: Final = 86_400


class App:
    """The daemon's app, each given what it works with."""

    def __init__(self, settings: Settings, signals: Signals, service: Service) -> None:
        """Build all app; nothing is connected by that."""
        self.settings = settings
        self.signals = signals
        self._health = Health(settings.health_file)
        self.status = StatusReporter(service, self._health)
        self.database = Database(settings.database_url.get_secret_value())
        endpoint = broker_endpoint(settings)
        self.consumer = Consumer(
            endpoint,
            list(Queue),
            settings.prefetch_count,
            settings.retry_delays,
            settings.queue_type,
            exclusive=settings.exclusive_queues,
            now_s=self.database.clock.seconds,
        )
        self.publisher = Publisher(endpoint)
        confirmed = Confirmed()
        self.quarantine = Quarantine(self.database)
        self.deferrals = Deferrals(
            self.database, max(settings.retry_delays), settings.lock_patience
        )
        self.committer = Committer(
            self.database,
            limits_of(settings),
            quarantine=self.quarantine,
            deferrals=self.deferrals,
            events_source=settings.events_source,
            grants=grants_of(settings),
        )
        reporter = Reporter()
        own = StepwisePublisher(endpoint)
        self.direct_replies = DirectReplies(own, self.publisher, reporter)
        self.settler = Settler(
            self.consumer,
            self.publisher,
            confirmed,
            quarantine=self.quarantine,
            deferrals=self.deferrals,
            outbound=OutboundMessages(self.settle_policy(), reporter, self.database.clock.now),
            direct_replies=self.direct_replies,
            reporter=reporter,
        )
        self.sweeper = Sweeper(self.database, self.publisher, confirmed)

    def settle_policy(self) -> SettlePolicy:
        """Return how results are settled under the current settings."""
        delays_s = self.settings.retry_delays
        return SettlePolicy(delays_s, own_queues(delays_s), self.settings.events_source)

    @property
    def is_broker_connected(self) -> bool:
        """Whether commands are being delivered and events can be published."""
        return self.consumer.is_ready and self.publisher.is_ready

    def connect_broker(self, on_slice: Callable[[], None], keep_alive: Callable[[], None]) -> None:
        """Connect publisher, then consumer: whoever takes work can also settle it.

        *on_slice* is called while the publisher waits, *keep_alive* while the consumer does.
        """
        if not self.consumer.is_ready:
            self.disconnect_broker()
        if not self.publisher.is_ready:
            self.publisher.connect(on_slice)
            # In an alarm nothing could be settled, so nothing is begun.
            self.publisher.find_alarm()
        if not self.consumer.is_ready:
            self.consumer.connect(keep_alive)

    def disconnect_broker(self) -> None:
        """Close all its connections; the broker delivers again what was not acked."""
        self.settler.abandon()
        self.consumer.close()
        self.publisher.close()
        self.direct_replies.close()

    def close(self) -> None:
        """Close every connection; never raises."""
        self.disconnect_broker()
        self.direct_replies.drop("the daemon ends")
        self.database.close()
        self._health.close()


def limits_of(settings: Settings) -> Limits:
    """Return the limits of messages and replies."""
    attempts_max = len(settings.retry_delays)
    return Limits(settings.body_bytes_max, attempts_max, settings.reply_bytes_max)


def grants_of(settings: Settings) -> Grants:
    """Return which token may send what; None where every command is allowed."""
    if settings.authorization_mode == "none":
        return None
    return {token.sha256: token.allow for token in settings.tokens.values()}


def broker_endpoint(settings: Settings) -> BrokerEndpoint:
    """Return where RabbitMQ is, and the name this process has on its connections."""
    return BrokerEndpoint(
        urls=tuple(url.get_secret_value() for url in settings.rabbitmq_url),
        connection_name=f"orderd {__version__} {settings.instance_name} {os.getpid()}",
        heartbeat_s=int(settings.heartbeat),
        blocked_timeout_s=BLOCKED_TIMEOUT_S,
    )
