"""A daemon that logs into a pipe, or to a terminal, from which nobody reads."""

import os
import select
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tools.daemon import clean_environment


@contextmanager
def unread_daemon(env: Mapping[str, str]) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Give a daemon, and the end of its log's pipe that nobody reads: the caller closes it."""
    with _unread(*os.pipe(), env) as ends:
        yield ends


@contextmanager
def unread_terminal_daemon(
    env: Mapping[str, str],
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Give a daemon, and the end of its terminal that nobody reads: the caller closes it."""
    with _unread(*os.openpty(), env) as ends:
        yield ends


@contextmanager
def _unread(
    reading: int, writing: int, env: Mapping[str, str]
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    orderd = subprocess.Popen(
        [sys.executable, "-m", "orderd"],
        env=clean_environment() | dict(env),
        stdin=subprocess.DEVNULL,
        stdout=writing,
        stderr=writing,
        start_new_session=True,
    )
    os.close(writing)
    try:
        yield orderd, reading
    finally:
        orderd.kill()
        orderd.wait()


def is_full(reading: int) -> bool:
    """Return whether the pipe takes no line any more."""
    writing = os.open(f"/proc/self/fd/{reading}", os.O_WRONLY | os.O_NONBLOCK)
    try:
        os.write(writing, bytes(select.PIPE_BUF))
    except BlockingIOError:
        return True
    finally:
        os.close(writing)
    return False
