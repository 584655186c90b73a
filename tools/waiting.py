"""Wait for something observed, with a deadline."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

# A deadline ends what hangs; it does not measure. Time-outs are given for an idle machine; a busy
# one gets several times as long, up to a minute.
PATIENCE = 4
PATIENT_MAX_S = 60.0


class NotObserved(AssertionError):
    """What was waited for did not come within its time."""


def wait_until(
    observe: Callable[[], T],
    *,
    timeout_s: float,
    what: str,
    poll_s: float = 0.05,
) -> T:
    """Return the first true value that `observe` gives; NotObserved when patience is at its end."""
    deadline_s = time.monotonic() + patience_s(timeout_s)
    while True:
        value = observe()
        if value:
            return value
        if time.monotonic() >= deadline_s:
            raise NotObserved(
                f"{what}: not within {patience_s(timeout_s):g} s, last seen {value!r}"
            )
        time.sleep(poll_s)


def patience_s(timeout_s: float) -> float:
    """Return how long to wait for what takes less than *timeout_s* on an idle machine."""
    return max(timeout_s, min(PATIENCE * timeout_s, PATIENT_MAX_S))
