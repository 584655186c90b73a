"""The exceptions that end a command of orderctl, each with its exit code."""

from typing import ClassVar

from orderd.protocol.exit_codes import ExitCode


class Failure(Exception):
    """The command failed; the text tells the user why."""

    code: ClassVar[ExitCode] = ExitCode.FAILED


class WrongUsage(Failure):
    """The command line is invalid; nothing was done."""

    code = ExitCode.USAGE


class Unavailable(Failure):
    """A server cannot be reached; the text names it."""

    code = ExitCode.UNAVAILABLE


class Misconfigured(Failure):
    """Configuration or schema are not as they have to be."""

    code = ExitCode.CONFIG
