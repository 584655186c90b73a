"""Returns unacked messages to a broker in alarm, whose memory they may be filling."""

import time
from collections.abc import Callable
from typing import Final

from orderd.amqp.consumer import Consumer
from orderd.amqp.publisher import Publisher
from orderd.daemon.announcer import Announcer

# An alarm that is over by then costs no message a delivery.
_MOMENT_S: Final = 2.0
# Fewer unacked bytes than this raise no alarm.
_RELIEF_BYTES: Final = 1024 * 1024


class MemoryRelief:
    """Gives back in an alarm what is not begun, where that is much, and takes no more until then.

    After the alarm messages are taken one at a time first.
    """

    def __init__(
        self,
        consumer: Consumer,
        publisher: Publisher,
        announcer: Announcer,
        during_call: Callable[[], None],
    ) -> None:
        """Watch *publisher* for alarms; call *during_call* while *consumer* gives back."""
        self._consumer = consumer
        self._publisher = publisher
        self._announcer = announcer
        self._during_call = during_call
        self._blocked_since_s: float | None = None

    def take(self) -> None:
        """Do what is due, to be called freely; raises BrokerFault."""
        publisher, consumer = self._publisher, self._consumer
        if not (consumer.is_ready and publisher.is_ready):
            return
        if not publisher.blocked:
            self._blocked_since_s = None
            if consumer.flow.is_paused:
                consumer.resume()
            return
        now_s = time.monotonic()
        if self._blocked_since_s is None:
            self._blocked_since_s = now_s
        is_due = now_s - self._blocked_since_s >= _MOMENT_S
        if is_due and (consumer.flow.is_paused or consumer.flow.body_bytes > _RELIEF_BYTES):
            self._give_back()

    def _give_back(self) -> None:
        consumer = self._consumer
        if consumer.flow.is_paused and not (consumer.inbox or consumer.inbox.worn):
            return
        if given := consumer.pause(self._during_call):
            self._announcer.gave_back(given)
