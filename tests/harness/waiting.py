"""Wait for something observed, with a deadline."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class NotObserved(AssertionError):
    """What was waited for did not come within its time."""


def wait_until(
    observe: Callable[[], T],
    *,
    timeout_s: float,
    what: str,
    poll_s: float = 0.05,
) -> T:
    """Return the first true value that `observe` gives; NotObserved after `timeout_s`."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        value = observe()
        if value:
            return value
        if time.monotonic() >= deadline_s:
            raise NotObserved(f"{what}: not within {timeout_s:g} s, last seen {value!r}")
        time.sleep(poll_s)
