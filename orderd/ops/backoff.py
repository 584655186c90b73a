"""How long to wait before the next attempt to reach a server."""

import random
from collections.abc import Callable

_FIRST_S = 1.0
# A server that is back is found within 5 s.
_LONGEST_S = 4.0
_DOUBLINGS_MAX = 2


def delay_s(attempt: int, chance: float) -> float:
    """Return the wait in seconds after the attempt (1 is the first), `chance` in 0..1.

    It doubles from 1 s to 4 s; half of it is left to chance, so that many daemons that lost the
    same server do not come back at the same moment.
    """
    doublings = min(max(attempt, 1) - 1, _DOUBLINGS_MAX)
    longest_s = min(_LONGEST_S, _FIRST_S * 2**doublings)
    return longest_s * (0.5 + chance / 2)


class Backoff:
    """Counts the failed attempts in a row."""

    __slots__ = ("_chance", "attempt")

    def __init__(self, chance: Callable[[], float] = random.random) -> None:
        self._chance = chance
        self.attempt = 0

    def next(self) -> float:
        """Count one more failed attempt and return the seconds to wait after it."""
        self.attempt += 1
        return delay_s(self.attempt, self._chance())

    def reset(self) -> None:
        """Forget the failures: the server is back."""
        self.attempt = 0
