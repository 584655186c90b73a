"""How orderd and orderctl end."""

from enum import IntEnum
from typing import Final


class ExitCode(IntEnum):
    """What a program's end means; the numbers from 64 on are those of sysexits.h."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NOT_CHECKED = 3
    UNAVAILABLE = 69
    CONFIG = 78
    INTERRUPTED = 130


# In the words of the documentation and of the manual.
ENDS_OF_ORDERD: Final = {
    ExitCode.DONE: "stopped on request",
    ExitCode.FAILED: "failed: an unexpected fault, which the last line names",
    ExitCode.USAGE: "invalid command-line usage",
    ExitCode.UNAVAILABLE: "a server cannot be reached at start, and `--no-wait` asked not to wait",
    ExitCode.CONFIG: "bad configuration, schema not migrated, a missing privilege, or a topology "
    "it cannot use",
}
ENDS_OF_ORDERCTL: Final = {
    ExitCode.DONE: "done",
    ExitCode.FAILED: "failed, refused, or something is not well",
    ExitCode.USAGE: "usage",
    ExitCode.NOT_CHECKED: "nothing wrong was found, but not everything could be checked",
    ExitCode.UNAVAILABLE: "a server cannot be reached, or the daemon is not running",
    ExitCode.CONFIG: "bad configuration, or a schema not migrated",
    ExitCode.INTERRUPTED: "interrupted",
}
