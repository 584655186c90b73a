"""How orderd and orderctl end."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What a program's end means; the numbers from 64 on are those of sysexits.h."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    UNAVAILABLE = 69
    CONFIG = 78
    INTERRUPTED = 130
