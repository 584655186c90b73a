"""How orderctl ends: its exit codes, and the exceptions that stand for them."""

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """How a command ends; the numbers from 64 on are those of sysexits.h."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    UNAVAILABLE = 69
    CONFIG = 78
    INTERRUPTED = 130


class Failure(Exception):
    """The command cannot be done; the text says why, for whoever typed it."""

    code: ClassVar[ExitCode] = ExitCode.FAILED


class WrongUsage(Failure):
    """What was typed makes no sense; nothing was done."""

    code = ExitCode.USAGE


class Unavailable(Failure):
    """A server cannot be reached; the text names it."""

    code = ExitCode.UNAVAILABLE


class Misconfigured(Failure):
    """Configuration or schema are not as they have to be."""

    code = ExitCode.CONFIG
