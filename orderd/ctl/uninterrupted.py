"""Lets an interrupt wait for the few milliseconds in which it would leave a message twice."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold a SIGINT back until the block has ended; main thread only.

    For what lies between a copy that the broker has confirmed and the ack of the former.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
