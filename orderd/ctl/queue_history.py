"""How long messages of a queue have waited at most, from one look at the queue after another.

A queue delivers in the order in which messages came. So once it has delivered as many since a look
as were ready then, all that is ready came after that look. Nothing is taken from the queue for it.
"""

from typing import Final

from orderd.protocol.values import value

# RabbitMQ's counters are some seconds late: what they have counted so long after a look holds all
# deliveries before it.
_LATE_S: Final = 10.0
_LOOKS_MAX: Final = 500


@value
class _Look:
    """A look at *at_s* that found so many messages *ready*; *counted* is the counter after it."""

    at_s: float
    ready: int
    counted: int | None = None


class QueueHistory:
    """Looks at one queue, as far back as they are of use; at most some hundred are kept."""

    def __init__(self) -> None:
        """Begin without any look."""
        self._looks: list[_Look] = []
        self._delivered = 0
        # All that is ready came later than this.
        self._since_s: float | None = None

    def note(self, ready: int, delivered: int | None, now_s: float) -> float | None:
        """Add a look; return the age in seconds that no ready message exceeds, None if unknown.

        *delivered* counts the first deliveries of messages, None where it cannot be had. *now_s* is
        of a clock that is never set back.
        """
        if not ready:
            self._looks, self._since_s = [], now_s
        elif delivered is not None:
            self._count(delivered, now_s)
            self._forget_delivered(delivered)
            self._looks.append(_Look(now_s, ready))
            # Older looks tell less exactly then.
            self._looks = self._looks[:: 1 + (len(self._looks) > _LOOKS_MAX)]
        return None if self._since_s is None else now_s - self._since_s

    def _count(self, delivered: int, now_s: float) -> None:
        if delivered < self._delivered:
            # A node was started again, and counts from 0.
            self._looks = []
        self._delivered = delivered
        self._looks = [
            _Look(look.at_s, look.ready, delivered)
            if look.counted is None and now_s - look.at_s >= _LATE_S
            else look
            for look in self._looks
        ]

    def _forget_delivered(self, delivered: int) -> None:
        """Forget the looks of which nothing waits any more, and note when the last one was."""
        for place in reversed(range(len(self._looks))):
            look = self._looks[place]
            if look.counted is not None and delivered - look.counted >= look.ready:
                self._since_s = look.at_s
                del self._looks[: place + 1]
                return
