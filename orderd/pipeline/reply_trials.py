"""Which direct reply addresses RabbitMQ is known to survive, and when others are tried.

RabbitMQ before 4.2 ends the connection over addresses that a caller can make up. Nothing tells them
from those of a caller on another node of a cluster, so an unknown one is tried, alone.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final

from orderd.amqp.reply_address import AddressFamily, family_of

# More than a cluster has nodes, with a few numbers each.
_KNOWN_MAX: Final = 256
# So many connections may be lost to trials at once, and one more each so many seconds.
LOSSES_MAX: Final = 3
_LOSS_EVERY_S: Final = 10.0


class ReplyTrials:
    """Knows addresses by their families, and bounds how many connections trials may cost."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        """Begin with nothing known, by the clock *now_s*."""
        self._now_s = now_s
        self._known: OrderedDict[AddressFamily, None] = OrderedDict()
        self._losses_left = float(LOSSES_MAX)
        self._counted_s = now_s()

    @property
    def may_try(self) -> bool:
        """Whether one more connection may be lost."""
        now_s = self._now_s()
        regained = (now_s - self._counted_s) / _LOSS_EVERY_S
        self._losses_left = min(self._losses_left + regained, float(LOSSES_MAX))
        self._counted_s = now_s
        return self._losses_left >= 1

    def is_known(self, address: str) -> bool:
        """Return whether RabbitMQ has survived an address of the same family."""
        family = family_of(address)
        if family is None or family not in self._known:
            return False
        self._known.move_to_end(family)
        return True

    def learn(self, family: AddressFamily | None) -> None:
        """Note that RabbitMQ survives addresses of *family*; None is of no address."""
        if family is None:
            return
        self._known[family] = None
        self._known.move_to_end(family)
        if len(self._known) > _KNOWN_MAX:
            self._known.popitem(last=False)

    def survived(self, address: str) -> None:
        """Note that RabbitMQ has survived *address*."""
        self.learn(family_of(address))

    def lost(self, address: str) -> None:
        """Note that a trial of *address* has cost the connection."""
        self._losses_left -= 1
        self.doubt([address])

    def doubt(self, addresses: Sequence[str]) -> None:
        """Note that one of *addresses* may have cost the connection: they are no longer known."""
        for family in map(family_of, addresses):
            if family is not None:
                self._known.pop(family, None)
