"""How long the broker's confirms are waited for, where nothing is lost without them."""

import time
from typing import Final

LONG_S: Final = 5.0
SHORT_S: Final = 0.25
# So long it stays short: then a queue that confirms nothing may cost the long one once more.
STAYS_SHORT_S: Final = 60.0


class ConfirmPatience:
    """Long, but short for a while after some confirms did not come in time.

    For messages that are sent again otherwise, as events are by the outbox: a queue that confirms
    nothing is not to hold up all others.
    """

    def __init__(self) -> None:
        self._short_until_s = float("-inf")

    @property
    def seconds(self) -> float:
        """How long to wait now."""
        return SHORT_S if time.monotonic() < self._short_until_s else LONG_S

    def note_unanswered(self) -> None:
        """Note that there was no answer in that time."""
        now_s = time.monotonic()
        if now_s >= self._short_until_s:
            self._short_until_s = now_s + STAYS_SHORT_S
