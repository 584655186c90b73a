"""The health file: the daemon's state and the time of its last sign of life.

This module is all that `orderctl health` needs, so it loads next to nothing.
"""

import errno
import json
import math
import os
import stat
import time
from collections.abc import Mapping
from typing import Any, Final

from orderd.runtime.paths import RUNTIME_DIRECTORY
from orderd.runtime.phase import Phase

FILE_NAME: Final = "health"
_BYTES_MAX: Final = 4_096
_READS_MAX: Final = 10
_PID_MAX: Final = 2**31 - 1


class NoHealth(Exception):
    """There is no health file that can be read; the text says why."""


def default_path(environ: Mapping[str, str], elsewhere: str = RUNTIME_DIRECTORY) -> str:
    """Return where the health file is unless a setting says so; *elsewhere* without systemd."""
    # systemd gives several directories with colons between them; the first is as good as any.
    directory = environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    return f"{directory or elsewhere}/{FILE_NAME}"


def path_to_write(environ: Mapping[str, str], elsewhere: str = RUNTIME_DIRECTORY) -> str:
    """Return the default for a daemon: an empty text where the directory does not exist."""
    path = default_path(environ, elsewhere)
    return path if os.access(os.path.dirname(path), os.W_OK) else ""  # noqa: PTH120 - light to load


def now_s() -> float:
    """Return the time by which age is told: it is not set, and stands still in a suspended machine.

    So neither an adjusted clock nor a closed lid makes a daemon look dead.
    """
    return time.clock_gettime(time.CLOCK_MONOTONIC)


def read(path: str) -> dict[str, Any]:
    """Return what the file says; raises NoHealth."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise NoHealth(f"{path}: {error.strerror}") from error
    try:
        return _known(json.loads(_whole(descriptor)))
    except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise NoHealth(f"{path} is not a health file: {error}") from error
    finally:
        os.close(descriptor)


def _whole(descriptor: int) -> bytes:
    """Return what the file holds, never half of a change: that is made in place."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise OSError(errno.EEXIST, "not a regular file")
    content = os.pread(descriptor, _BYTES_MAX, 0)
    for _ in range(_READS_MAX):
        again = os.pread(descriptor, _BYTES_MAX, 0)
        if again == content:
            break
        content = again
    return content


def _known(content: Any) -> dict[str, Any]:
    """Return the values in *content*; raise ValueError for a value that no daemon writes."""
    names = ("pid", "state", "waiting_for", "since")
    known = {name: content[name] for name in names}
    known["standing_by"] = content.get("standing_by", [])
    age_s = now_s() - content["monotonic_s"]
    is_told = (
        type(known["pid"]) is int
        and 0 < known["pid"] <= _PID_MAX
        and known["state"] in list(Phase)
        and (known["waiting_for"] is None or isinstance(known["waiting_for"], str))
        and isinstance(known["since"], str)
        and isinstance(known["standing_by"], list)
        and all(isinstance(queue, str) for queue in known["standing_by"])
        and math.isfinite(age_s)
    )
    if not is_told:
        raise ValueError("it has a value that no daemon writes")
    return {**known, "age_s": round(age_s, 3)}


def is_alive(pid: int) -> bool:
    """Return whether the process exists, whoever owns it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
