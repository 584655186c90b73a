"""Waiting for PostgreSQL's answers in slices, so that whoever waits can show that it lives."""

import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from psycopg2.extensions import POLL_OK, POLL_READ, POLL_WRITE, set_wait_callback

from orderd.db.faults import DatabaseOutage

SLICE_S: Final = 1.0
_EVENTS: Final = {POLL_READ: select.POLLIN, POLL_WRITE: select.POLLOUT}

OnSlice = Callable[[float], None]


def no_slice(_waited_s: float) -> None:
    """Do nothing between two slices of a wait."""


@contextmanager
def sliced(on_slice: OnSlice, patience_s: float) -> Iterator[None]:
    """Let every answer that is waited for in the block be waited for in slices.

    *on_slice* is given the seconds so far, once a second; what it raises ends the wait, and the
    connection with it. So does DatabaseOutage when *patience_s* seconds are over.
    """

    def wait(connection: Any) -> None:
        started_s = time.monotonic()
        poller = select.poll()
        while (state := connection.poll()) != POLL_OK:
            poller.register(connection.fileno(), _EVENTS[state])
            while not poller.poll(SLICE_S * 1_000):
                waited_s = time.monotonic() - started_s
                if waited_s >= patience_s:
                    raise DatabaseOutage(f"no answer in {patience_s:g} s")
                on_slice(waited_s)

    # The driver keeps one such function for all connections; they are used by turns.
    set_wait_callback(wait)
    try:
        yield
    finally:
        set_wait_callback(None)
