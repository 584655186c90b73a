"""How fast dead letters are replayed: at a rate, and with a ramp slowly at first."""

import argparse
import math
import re
import time
from collections.abc import Callable
from typing import Final

from orderd.protocol.values import value

# What is replayed before the next look at what has become of it.
PORTION_MAX: Final = 500
PORTION_WITHOUT_RATE: Final = 100
PORTION_S: Final = 2.0
RAMP_START_PER_S: Final = 5.0
RATE_MAX_PER_S: Final = 10_000.0
STOP_ABOVE_PERCENT: Final = 10.0
_RATE: Final = re.compile(r"(\d+(?:\.\d+)?)(?:/(s|min|h))?")
_UNITS_S: Final = {None: 1, "s": 1, "min": 60, "h": 3600}
_SLICE_S: Final = 1.0


@value
class Plan:
    """How to replay: at most `rate` messages a second, None for as fast as it goes.

    With `is_ramp`, slowly at first. The replay ends where more than `stop_above` percent of what
    was replayed fails again; None where nothing watches it.
    """

    rate: float | None = None
    is_ramp: bool = False
    stop_above: float | None = None

    @property
    def is_watched(self) -> bool:
        """Whether to look at what becomes of the replayed messages."""
        return self.is_ramp or self.stop_above is not None

    @property
    def share_max(self) -> float:
        """The share of the replayed messages, 0 to 1, that may fail again."""
        percent = STOP_ABOVE_PERCENT if self.stop_above is None else self.stop_above
        return percent / 100


class Speed:
    """The speed of a replay: constant, or that of a ramp, which depends on how it goes."""

    def __init__(self, plan: Plan) -> None:
        """Begin at the rate of *plan*, with a ramp at `RAMP_START_PER_S` at most."""
        self._max = plan.rate
        self._is_ramp = plan.is_ramp
        self.per_s = plan.rate
        if plan.is_ramp:
            self.per_s = min(RAMP_START_PER_S, plan.rate or RAMP_START_PER_S)

    @property
    def portion(self) -> int:
        """How many messages to replay before the next look."""
        if self.per_s is None:
            return PORTION_WITHOUT_RATE
        return max(1, min(PORTION_MAX, math.floor(self.per_s * PORTION_S)))

    def adapt(self, *, is_well: bool) -> None:
        """Double the speed of a ramp where the last portion went well, halve it where not."""
        if not self._is_ramp or self.per_s is None:
            return
        wanted = self.per_s * 2 if is_well else max(self.per_s / 2, RAMP_START_PER_S)
        self.per_s = min(wanted, self._max or RATE_MAX_PER_S)


class Pace:
    """Spaces messages out: `wait` returns when the next one is due."""

    def __init__(
        self, wait: Callable[[float], object], now_s: Callable[[], float] = time.monotonic
    ) -> None:
        """Wait by *wait*, which is given seconds and may return early."""
        self._wait = wait
        self._now_s = now_s
        self._due_s = now_s()

    def wait(self, per_s: float | None) -> None:
        """Wait until a message is due at this rate; None for at once."""
        if per_s is None:
            return
        while (left_s := self._due_s - self._now_s()) > 0:
            self._wait(min(left_s, _SLICE_S))
        # What was late is not made up for: that would be faster than the rate.
        self._due_s = max(self._due_s, self._now_s()) + 1 / per_s


def rate(value: str) -> float:
    """Return the messages a second that *value*, an argument, says: ``5``, ``5/s``, ``30/min``."""
    found = _RATE.fullmatch(value)
    per_s = float(found[1]) / _UNITS_S[found[2]] if found else 0.0
    if not 0 < per_s <= RATE_MAX_PER_S:
        raise argparse.ArgumentTypeError(
            f"{value!r} is not a rate of up to {RATE_MAX_PER_S:g}/s, such as 5/s or 30/min"
        )
    return per_s


def percent(value: str) -> float:
    """Return the number from 0 to 100 that *value*, an argument, says."""
    try:
        found = float(value.removesuffix("%"))
    except ValueError:
        found = math.nan
    if not 0 <= found <= 100:  # noqa: PLR2004
        raise argparse.ArgumentTypeError(f"{value!r} is not a percentage from 0 to 100")
    return found
