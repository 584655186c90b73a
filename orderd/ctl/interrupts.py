"""Ctrl-C: what it may break off, and what it must not."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

from orderd.protocol.exit_codes import ExitCode

if TYPE_CHECKING:
    from orderd.amqp.connection import Connection


def end_at_once() -> None:
    """Have Ctrl-C end the program on the spot: nothing was begun.

    Who started it with Ctrl-C ignored, as a shell does in the background, means that.
    """
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _leave)


def end_the_command() -> None:
    """Have Ctrl-C end the command, which gives back what it took; a second one does not wait."""
    if signal.getsignal(signal.SIGINT) is _leave:
        sys.unraisablehook = _on_unraisable
        signal.signal(signal.SIGINT, _interrupt)


def has_come() -> bool:
    """Return whether the command, which has begun, was interrupted.

    A library may turn KeyboardInterrupt into an error of its own, cleaning up may fail after it.
    """
    return signal.getsignal(signal.SIGINT) is _leave


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


@contextmanager
def left_to_child() -> Iterator[None]:
    """Leave Ctrl-C to a child that has the terminal; main thread only.

    To be entered once it runs: it would inherit that the signal is ignored.
    """
    former = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)


@contextmanager
def interruptible(connection: "Connection") -> Iterator[None]:
    """Abandon the connection at Ctrl-C, so that whatever cleans up afterwards leaves it alone."""
    try:
        yield
    except KeyboardInterrupt:
        connection.abandon()
        raise


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGINT, _leave)
    raise KeyboardInterrupt


def _on_unraisable(unraisable: Any) -> None:
    # An interrupt in a callback of the interpreter's, which lets no exception out.
    if unraisable.exc_type is KeyboardInterrupt:
        os._exit(ExitCode.INTERRUPTED)
    sys.__unraisablehook__(unraisable)


def _leave(_number: int, _frame: FrameType | None) -> None:
    os._exit(ExitCode.INTERRUPTED)
