"""Ends the program without waiting for calls that cannot be interrupted."""

import os
import sys
import threading
from contextlib import suppress


def leave_threads(code: int) -> None:
    """End with *code* on the spot where a thread still runs; else return.

    pika looks up the broker's name in one. A resolver may take minutes, and the interpreter would
    wait for it.
    """
    if threading.active_count() == 1:
        return
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)
