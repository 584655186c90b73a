"""The exceptions that end a command of orderctl, each with its exit code."""

from typing import Any, ClassVar

from orderd.protocol.exit_codes import ExitCode


class Failure(Exception):
    """The command failed; the text tells the user why, *facts* are for programs."""

    code: ClassVar[ExitCode] = ExitCode.FAILED

    def __init__(self, text: str, **facts: Any) -> None:
        super().__init__(text)
        self.facts = facts


class WrongUsage(Failure):
    """The command line is invalid; nothing was done."""

    code = ExitCode.USAGE


class Unavailable(Failure):
    """A server cannot be reached; the text names it."""

    code = ExitCode.UNAVAILABLE


class AccessRefused(Unavailable):
    """A server refuses this login, so how it is cannot be known; the text says who is refused."""


class Misconfigured(Failure):
    """Configuration or schema are not as they have to be."""

    code = ExitCode.CONFIG
