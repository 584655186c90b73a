"""Waits for PostgreSQL's answers: other work first, then in slices with keep-alive work between."""

import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from psycopg2.extensions import POLL_OK, POLL_READ, POLL_WRITE, set_wait_callback

SLICE_S: Final = 1.0
_EVENTS: Final = {POLL_READ: select.POLLIN, POLL_WRITE: select.POLLOUT}

OnSlice = Callable[[float], None]
Meanwhile = Callable[[Callable[[], bool]], None]


def no_slice(_waited_s: float) -> None:
    """Do nothing between two slices of a wait."""


def no_work(_is_answered: Callable[[], bool]) -> None:
    """Do nothing meanwhile."""


@contextmanager
def sliced(on_slice: OnSlice, meanwhile: Meanwhile = no_work) -> Iterator[None]:
    """Await every answer in the block in slices.

    *meanwhile* is called first, with what tells whether the answer has come; it must not raise.
    *on_slice* is given the seconds so far, once a second; what it raises ends the wait, and the
    connection with it.
    """

    def wait(connection: Any) -> None:
        started_s = time.monotonic()
        poller = select.poll()
        while (state := connection.poll()) != POLL_OK:
            poller.register(connection.fileno(), _EVENTS[state])
            meanwhile(lambda: bool(poller.poll(0)))
            while not poller.poll(SLICE_S * 1_000):
                on_slice(time.monotonic() - started_s)

    # The driver keeps one such function for all connections; they are used by turns.
    set_wait_callback(wait)
    try:
        yield
    finally:
        set_wait_callback(None)
