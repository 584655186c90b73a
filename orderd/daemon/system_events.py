"""Events of the system itself, ``system.*``: published directly, and best effort."""

from collections.abc import Mapping

from orderd import __version__
from orderd.amqp.faults import BrokerFault
from orderd.amqp.publisher import Publisher
from orderd.config.settings import Settings
from orderd.db.clock import Clock
from orderd.pipeline.outbox.publish import event_message
from orderd.pipeline.outbox.rows import OutboxRow
from orderd.protocol.cloud_events import CloudEvent, EventContext, SystemEvent, new_id
from orderd.protocol.strict_json import dumps


class SystemEvents:
    """Publishes events about this instance."""

    def __init__(self, settings: Settings, publisher: Publisher, clock: Clock) -> None:
        """Publish by *publisher* in the name that *settings* give; *clock* is the database's."""
        self._instance = settings.instance_name
        self._source = settings.events_source
        self._publisher = publisher
        self._clock = clock

    def publish(self, event_type: SystemEvent, content: Mapping[str, object]) -> None:
        """Publish an event with *content*, unless the broker is away; nothing depends on it."""
        if not self._publisher.is_ready:
            return
        data = dumps({"instance": self._instance, "version": __version__, **content})
        event = CloudEvent(event_type, f"instance/{self._instance}", data)
        event_id = new_id()
        body = event.body(event_id, EventContext(self._source, self._clock.now()))
        try:
            self._publisher.publish([event_message(OutboxRow(0, event_id, event_type, body))])
        except BrokerFault:
            return
