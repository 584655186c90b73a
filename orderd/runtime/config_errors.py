"""Errors of the configuration: they name the key and never show a secret."""

from collections.abc import Sequence

from orderd.protocol.values import value


@value
class Problem:
    """One wrong setting: its key, the reason, its source, and its value if it may be shown."""

    key: str
    reason: str
    origin: str = ""
    value: str | None = None

    def __str__(self) -> str:
        """Return `key = value (origin): reason`."""
        shown = self.key if self.value is None else f"{self.key} = {self.value}"
        return (
            f"{shown} ({self.origin}): {self.reason}" if self.origin else f"{shown}: {self.reason}"
        )


class ConfigError(Exception):
    """The configuration cannot be used: every problem found, one a line; exit code 78."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        """Keep *problems* in the order in which they are shown."""
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))
