"""A limit for calls of pika's that wait for the broker without one.

A call of a BlockingConnection waits until the broker answers or the connection is given up, which
may take longer than the watchdog allows, and runs no code of ours meanwhile. So a timer's signal
does: SIGALRM is used here and nowhere else.
"""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

SLICE_S: Final = 1.0
# A library may swallow an exception that comes in the middle of it.
_RAISED_MAX: Final = 3


class TimedOut(Exception):
    """The call took too long; whatever it was made on is in no state to be used again."""


@contextmanager
def bounded(limit_s: float, keep_alive: Callable[[], None]) -> Iterator[None]:
    """Raise TimedOut out of the block once *limit_s* seconds are over; main thread only.

    *keep_alive* is called once a second. It runs in the middle of whatever the block does, so it
    must not touch that; what it raises leaves the block.
    """
    deadline_s = time.monotonic() + limit_s
    left = [TimedOut(f"no answer in {limit_s:g} s") for _ in range(_RAISED_MAX)]

    def on_tick(*_: Any) -> None:
        if left:
            keep_alive()
            if time.monotonic() >= deadline_s:
                raise left.pop()

    former = signal.signal(signal.SIGALRM, on_tick)
    signal.setitimer(signal.ITIMER_REAL, min(SLICE_S, limit_s), SLICE_S)
    try:
        yield
    finally:
        # First: a tick may come between any two of these lines.
        left.clear()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
