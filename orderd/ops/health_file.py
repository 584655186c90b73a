"""The health file: how the daemon is, and when its loop last turned, for whoever asks by a file.

This module is all that `orderctl health` needs, so it loads next to nothing.
"""

import errno
import json
import os
import stat
import time
from collections.abc import Mapping
from typing import Any, Final

from orderd.ops.places import RUNTIME_DIRECTORY

RUNNING: Final = "running"
STANDBY: Final = "standby"
STATES: Final = ("starting", RUNNING, STANDBY, "paused", "blocked", "draining")
FILE_NAME: Final = "health"
_BYTES_MAX: Final = 4_096


class NoHealth(Exception):
    """There is no health file that can be read; the text says why."""


def default_path(environ: Mapping[str, str]) -> str:
    """Return where the health file is unless a setting says so."""
    # systemd gives several directories with colons between them; the first is as good as any.
    directory = environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    return f"{directory or RUNTIME_DIRECTORY}/{FILE_NAME}"


def path_to_write(environ: Mapping[str, str]) -> str:
    """Return the default for a daemon: nothing where nobody has made a place for the file."""
    path = default_path(environ)
    return path if os.access(os.path.dirname(path), os.W_OK) else ""  # noqa: PTH120 - light to load


def now_s() -> float:
    """Return the time by which age is told: it is not set, and stands still in a suspended machine.

    So neither an adjusted clock nor a closed lid makes a daemon look dead.
    """
    return time.clock_gettime(time.CLOCK_MONOTONIC)


def write(path: str, content: Mapping[str, Any]) -> None:
    """Put *content* in the place of what was there, whole or not at all; raises OSError.

    Only a regular file is replaced: not a FIFO, a socket, a device or a directory, nor a symbolic
    link to one of these.
    """
    text = json.dumps(content).encode()
    _expect_regular(path)
    beside = f"{path}.new"
    descriptor = _create(beside)
    try:
        # Whatever the umask: it holds no secret, and those who ask are other users.
        os.fchmod(descriptor, 0o644)
        if os.write(descriptor, text) < len(text):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    finally:
        os.close(descriptor)
    os.rename(beside, path)  # noqa: PTH104 - light to load


def remove(path: str) -> None:
    """Remove the file, if it is one that `write` could have written; raises OSError."""
    _expect_regular(path)
    os.unlink(path)  # noqa: PTH108 - light to load


def _create(path: str) -> int:
    """Return a descriptor of a new file, in the place of one that a crash left behind."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o644)
    except FileExistsError:
        # Opened as it is, a FIFO would wait for a reader, and a hard link be another file.
        _expect_regular(path, follow=False)
        os.unlink(path)  # noqa: PTH108 - light to load
        return os.open(path, flags, 0o644)


def _expect_regular(path: str, *, follow: bool = True) -> None:
    """Raise OSError where something is there that is no file."""
    try:
        mode = os.stat(path, follow_symlinks=follow).st_mode  # noqa: PTH116 - light to load
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        raise OSError(errno.EEXIST, "not a regular file")


def read(path: str) -> dict[str, Any]:
    """Return what the file says; raises NoHealth."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise NoHealth(f"{path}: {error.strerror}") from error
    try:
        content = json.loads(os.read(descriptor, _BYTES_MAX))
        known = {name: content[name] for name in ("pid", "state", "waiting_for", "since")}
        known["standing_by"] = content.get("standing_by", [])
        return {**known, "age_s": round(now_s() - content["monotonic_s"], 3)}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise NoHealth(f"{path}: is no health file: {error}") from error
    finally:
        os.close(descriptor)


def is_alive(pid: int) -> bool:
    """Return whether there is such a program, be it somebody else's."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
