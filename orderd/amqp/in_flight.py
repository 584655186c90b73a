"""What this daemon has sent through retry queues, until it comes back."""

import time
from collections.abc import Callable
from hashlib import blake2b
from typing import Final

from orderd.amqp.message import Delivery

# Where the command queue refuses it, the broker tries again every three minutes.
_LATE_S: Final = 600.0
_KEPT_MAX: Final = 10_000


class InFlight:
    """Knows the queues to which messages are on their way back.

    RabbitMQ counts a message neither in its retry queue nor in its command queue between the end
    of its delay and its arrival. Purged messages are forgotten after some time.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._sent: dict[bytes, tuple[str, float]] = {}

    def __contains__(self, queue: str) -> bool:
        """Return whether something may still come back to *queue*."""
        now_s = self._now_s()
        overdue = [key for key, (_, until_s) in self._sent.items() if until_s < now_s]
        for key in overdue:
            del self._sent[key]
        return any(to == queue for to, _ in self._sent.values())

    def note_sent(self, delivery: Delivery, delay_s: float) -> None:
        """Note that a copy of *delivery* comes back after *delay_s* seconds."""
        until_s = self._now_s() + delay_s + _LATE_S
        self._sent[_key(delivery)] = (str(delivery.queue), until_s)
        if len(self._sent) > _KEPT_MAX:
            # So many are counted by the broker.
            del self._sent[next(iter(self._sent))]

    def note_back(self, delivery: Delivery) -> None:
        """Note that *delivery* has arrived, whether it was expected or not."""
        if self._sent:
            self._sent.pop(_key(delivery), None)


def _key(delivery: Delivery) -> bytes:
    return blake2b(delivery.body, digest_size=16, key=delivery.queue.encode()).digest()
