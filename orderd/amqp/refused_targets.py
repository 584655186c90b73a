"""Where the broker does not let us publish: it closes the channel over each attempt."""

import time
from collections.abc import Callable
from typing import Final

from orderd.amqp.message import OutgoingMessage

_FIRST_DELAY_S: Final = 5.0
_DELAY_S_MAX: Final = 60.0


class RefusedTargets:
    """Pairs of exchange and routing key, each with a back-off, doubling from 5 s to a minute.

    While it lasts nothing is sent there: who else publishes at that time is not to suffer for it.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        # The reason, the delay, and when it is over.
        self._refused: dict[tuple[str, str], tuple[str, float, float]] = {}

    def __bool__(self) -> bool:
        """Return whether there are any."""
        return bool(self._refused)

    def note(self, message: OutgoingMessage, why: str) -> None:
        """Note that the broker refused the target of *message*."""
        _, before_s, _ = self._refused.get(_target(message), ("", 0.0, 0.0))
        delay_s = min(max(_FIRST_DELAY_S, 2 * before_s), _DELAY_S_MAX)
        self._refused[_target(message)] = (why, delay_s, self._now_s() + delay_s)

    def reason(self, message: OutgoingMessage) -> str | None:
        """Return why *message* is not to be sent now, None where it may be."""
        why, _, until_s = self._refused.get(_target(message), ("", 0.0, 0.0))
        return why if self._now_s() < until_s else None

    def accept(self, message: OutgoingMessage) -> None:
        """Forget that the target of *message* was ever refused: it has taken one."""
        self._refused.pop(_target(message), None)


def _target(message: OutgoingMessage) -> tuple[str, str]:
    return message.exchange, message.routing_key
