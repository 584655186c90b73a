"""Limits log lines that would repeat with each message: the first is logged, the rest counted."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class _Kind:
    """When a line of a kind was told last, and how many were not since then."""

    told_s: float
    untold: int = 0


class RateLimit:
    """Lets one line of a kind through per interval, with the number of those left out."""

    def __init__(self, every_s: float, now_s: Callable[[], float] = time.monotonic) -> None:
        """Let one through in *every_s* seconds by the clock *now_s*."""
        self._every_s = every_s
        self._now_s = now_s
        self._kinds: dict[str, _Kind] = {}

    def told(self, text: str, *, kind: str) -> str | None:
        """Return *text*, with how many of its *kind* were left out; None where it is left out."""
        now_s = self._now_s()
        last = self._kinds.get(kind)
        if last is not None and now_s - last.told_s < self._every_s:
            last.untold += 1
            return None
        self._kinds[kind] = _Kind(now_s)
        return text if last is None or not last.untold else f"{text}, and {last.untold} before it"
