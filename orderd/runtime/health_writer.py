"""The daemon's side of the health file: it is locked for the daemon's life and written in place.

What is written has the same place on the disk each time, so that a full file system does not make
a healthy daemon look dead.
"""

import errno
import fcntl
import json
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from orderd.runtime import health_file

_MODE: Final = 0o644
_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# More than a daemon has to tell, so that the file never grows.
_BYTES: Final = 1_024
_TRIES: Final = 3


class Taken(ValueError):
    """Another daemon writes to the file; the text names the setting, the file and its pid."""


class HealthWriter:
    """Writes to one regular file, which this user owns and no other daemon writes to."""

    def __init__(self, path: str) -> None:
        """Write to *path*; nothing is opened yet."""
        self._path = path
        self._descriptor: int | None = None

    def claim(self) -> None:
        """Create the file if there is none, and lock it; raises `Taken` or OSError.

        Only a regular file is written to, or replaced: not a FIFO, a socket, a device or a
        directory, nor a symbolic link to one of these.
        """
        for _ in range(_TRIES):
            self.release()
            _expect_regular(self._path)
            self._descriptor = descriptor = _opened(self._path)
            _expect_regular_descriptor(descriptor)
            self._lock(descriptor)
            # Another daemon may have replaced it before it was locked here.
            if self._is_in_place():
                # Whatever the umask: it holds no secret, and those who ask are other users.
                os.fchmod(descriptor, _MODE)
                return
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    def write(self, content: Mapping[str, Any]) -> None:
        """Put *content* in the place of what was there; raises `Taken` or OSError."""
        if not self._is_in_place():
            self.claim()
        if self._descriptor is None:
            return
        text = json.dumps(content).encode().ljust(_BYTES - 1) + b"\n"
        if os.pwrite(self._descriptor, text, 0) < len(text):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.ftruncate(self._descriptor, len(text))

    def remove(self) -> None:
        """Remove the file, if it is the one that was written; raises OSError."""
        try:
            if self._is_in_place():
                os.unlink(self._path)  # noqa: PTH108 - as its neighbours
        finally:
            self.release()

    def release(self) -> None:
        """Close the file and leave it in place."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _lock(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            raise Taken(_taken(self._path)) from None
        except OSError:
            # A file system that knows no locks.
            return

    def _is_in_place(self) -> bool:
        """Return whether the path still leads to the file that is open."""
        if self._descriptor is None:
            return False
        try:
            there = os.stat(self._path, follow_symlinks=False)  # noqa: PTH116
        except OSError:
            return False
        here = os.fstat(self._descriptor)
        return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)


def _opened(path: str) -> int:
    """Return a descriptor of the file: the one that is there if it is ours alone, else a new one.

    Raises `Taken` where another daemon has locked the one that is not ours.
    """
    try:
        descriptor = os.open(path, _FLAGS, _MODE)
    except OSError as error:
        # A symbolic link, or a file of another user.
        if error.errno not in {errno.ELOOP, errno.EACCES}:
            raise
    else:
        found = os.fstat(descriptor)
        if found.st_nlink == 1 and found.st_uid == os.geteuid():
            return descriptor
        os.close(descriptor)
    _expect_unlocked(path)
    os.unlink(path)  # noqa: PTH108 - as its neighbours
    return os.open(path, _FLAGS | os.O_EXCL, _MODE)


def _expect_unlocked(path: str) -> None:
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Taken(_taken(path)) from None
        finally:
            os.close(descriptor)


def _expect_regular(path: str) -> None:
    """Raise OSError where something is there that is no file, or a link to such."""
    with suppress(FileNotFoundError):
        _expect_regular_mode(os.stat(path).st_mode)  # noqa: PTH116 - as its neighbours


def _expect_regular_descriptor(descriptor: int) -> None:
    _expect_regular_mode(os.fstat(descriptor).st_mode)


def _expect_regular_mode(mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise OSError(errno.EEXIST, "not a regular file")


def _taken(path: str) -> str:
    by = "another daemon"
    with suppress(health_file.NoHealth):
        by = f"another daemon, pid {health_file.read(path)['pid']},"
    return f"health_file: {path}: {by} writes to it: each daemon needs a file of its own, or none"
