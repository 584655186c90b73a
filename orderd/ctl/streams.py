"""The standard streams of orderctl, which may be closed, full or broken pipes."""

import os
import sys
from typing import TextIO

from orderd.logs.descriptors import occupy

_STDIN, _STDOUT, _STDERR = range(3)


def open_closed() -> None:
    """Replace streams that were closed at the start: reading finds an end, writing fails."""
    for descriptor in occupy(os.O_RDONLY):
        match descriptor:
            case 0:
                sys.stdin = open(_STDIN)  # noqa: PTH123, SIM115 - a descriptor; it stays open
            case 1:
                sys.stdout = open(_STDOUT, "w")  # noqa: PTH123, SIM115
            case 2:
                sys.stderr = open(_STDERR, "w", buffering=1, errors="backslashreplace")  # noqa: PTH123, SIM115


def discard_stdout() -> None:
    """Send what is printed from now on, and what could not be written, nowhere."""
    _discard(sys.stdout)


def finish() -> None:
    """Write out the rest; Python would complain of what cannot be written, and exit with 120."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            _discard(stream)


def _discard(stream: TextIO) -> None:
    descriptor = os.open(os.devnull, os.O_WRONLY)
    os.dup2(descriptor, stream.fileno())
    os.close(descriptor)
