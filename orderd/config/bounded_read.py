"""Reads a configuration file, be it a pipe, without waiting for its writer for long.

`orderctl health` needs it, so it loads next to nothing.
"""

import errno
import os
import select
import stat
import time
from typing import Final

BYTES_MAX: Final = 1 << 20
_PATIENCE_S = 5.0


def read(path: str) -> bytes:
    """Return what the file holds, or one byte more than `BYTES_MAX` of it; raises OSError.

    A pipe, as `--config <(…)` gives one, has some seconds.
    """
    with open(path, "rb", opener=_opened_at_once) as stream:
        if stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            return stream.read(BYTES_MAX + 1)
        return _drained(stream.fileno())


def _opened_at_once(path: str, flags: int) -> int:
    # Opened as it is, a FIFO would wait for its writer.
    return os.open(path, flags | os.O_NONBLOCK)


def _drained(pipe: int) -> bytes:
    until_s = time.monotonic() + _PATIENCE_S
    readable = select.poll()
    readable.register(pipe, select.POLLIN)
    content = b""
    while len(content) <= BYTES_MAX:
        left_s = until_s - time.monotonic()
        if left_s <= 0 or not readable.poll(left_s * 1000):
            raise TimeoutError(errno.ETIMEDOUT, f"no end within {_PATIENCE_S:g} s")
        part = os.read(pipe, BYTES_MAX)
        if not part:
            break
        content += part
    return content
