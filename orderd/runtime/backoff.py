"""How long to wait before the next attempt to reach a server."""

import random
from collections.abc import Callable

_FIRST_S = 1.0
# A server that is back is found within 5 s.
_LONGEST_S = 4.0
_DOUBLINGS_MAX = 2
# A server that accepts connections but does no work is tried at most every half minute.
_LONGEST_IN_VAIN_S = 30.0
_FREE_IN_VAIN = 3


def delay_s(attempt: int, chance: float) -> float:
    """Return the wait in seconds after the attempt (1 is the first), `chance` in 0..1.

    It doubles from 1 s to 4 s; half of it is left to chance, so that many daemons that lost the
    same server do not come back at the same moment.
    """
    doublings = min(max(attempt, 1) - 1, _DOUBLINGS_MAX)
    longest_s = min(_LONGEST_S, _FIRST_S * 2**doublings)
    return longest_s * (0.5 + chance / 2)


def in_vain_s(times: int) -> float:
    """Return the wait in seconds after so many connections in a row that settled nothing.

    The first few cost none; then it doubles from 1 s to 30 s.
    """
    doublings = times - _FREE_IN_VAIN - 1
    return min(_LONGEST_IN_VAIN_S, _FIRST_S * 2**doublings) if doublings >= 0 else 0.0


class Backoff:
    """Counts the failed attempts in a row, and the connections that settled nothing."""

    __slots__ = ("_chance", "attempt", "in_vain")

    def __init__(self, chance: Callable[[], float] = random.random) -> None:
        self._chance = chance
        self.attempt = 0
        self.in_vain = 0

    def next(self) -> float:
        """Count one more failed attempt and return the seconds to wait after it."""
        self.attempt += 1
        return max(delay_s(self.attempt, self._chance()), in_vain_s(self.in_vain))

    def note_lost(self, *, has_settled: bool) -> None:
        """Note that a connection was lost, and whether anything was settled on it."""
        self.in_vain = 0 if has_settled else self.in_vain + 1

    def reset(self) -> None:
        """Forget the failures: the server is back."""
        self.attempt = 0
