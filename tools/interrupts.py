"""Signals that end a tool: they unwind it like Ctrl-C, and never cut its cleaning up short."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

ENDING_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP came; what is running is stopped on the way out, as for Ctrl-C."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.signum = signum


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM and SIGHUP raise Terminated in the block, instead of ending us on the spot."""
    with _handlers(_terminate, ENDING_SIGNALS):
        yield


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ignore ending signals in the block, which must be bounded: it cleans up."""
    with _handlers(signal.SIG_IGN, (signal.SIGINT, *ENDING_SIGNALS)):
        yield


@contextmanager
def _handlers(handler: Any, signums: tuple[signal.Signals, ...]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers, and only it is interrupted
        return
    before = {signum: signal.signal(signum, handler) for signum in signums}
    try:
        yield
    finally:
        for signum, previous in before.items():
            signal.signal(signum, previous)


def _terminate(signum: int, _frame: FrameType | None) -> None:
    raise Terminated(signum)
