"""Whose turn it is: commands that change one row take effect in the order in which they came.

A command that is deferred keeps its place in the line of its row. Later ones wait behind it, and
keep their own places meanwhile, until it has an outcome.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from orderd.contract.envelope import Command
from orderd.contract.rows import rfc3339

Row = tuple[str, int]
"""The queue, and the id of a row in its table."""

# How keys begin that were given to commands without id; up to its last dot one tells the content.
GIVEN: Final = "~"


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a deferred command in the line of its row."""

    key: str
    since: datetime

    def is_of(self, command: Command) -> bool:
        """Return whether it is the place of *command*."""
        if command.is_key_unsure:
            content, dot, _ = command.key.rpartition(".")
            return self.key.startswith(content + dot)
        return self.key == command.key

    def __str__(self) -> str:
        who = "a command without id" if self.key.startswith(GIVEN) else f"request {self.key[1:]!a}"
        return f"{who}, deferred since {rfc3339(self.since)}"


@dataclass(slots=True)
class Turns:
    """The lines of the rows that a batch changes, each in the order of the first deferral.

    `kept` and `ended` are what is to be put on record: places that were taken or asked for again,
    and keys of those that were given up.
    """

    lines: dict[Row, list[Place]] = field(default_factory=dict)
    kept: dict[str, Row] = field(default_factory=dict)
    ended: list[str] = field(default_factory=list)

    def ahead_of(self, command: Command) -> Place | None:
        """Return the first place in the line of *command*, None where that is its own, or none."""
        line = self._line(command)
        return None if not line or line[0].is_of(command) else line[0]

    def able(self, commands: Iterable[Command]) -> Iterator[Command]:
        """Yield those of *commands* that may get their turn when they are decided in their order.

        Whoever waits behind a command that is not among them needs no rows.
        """
        may_end: set[str] = set()
        for command in commands:
            is_able = True
            for place in self._line(command):
                if place.is_of(command):
                    may_end.add(place.key)
                    break
                if place.key not in may_end:
                    is_able = False
                    break
            if is_able:
                yield command

    def add(self, row: Row, key: str, since: datetime) -> None:
        """Add the last place that is on record in the line of *row*."""
        self.lines.setdefault(row, []).append(Place(key, since))

    def keep(self, command: Command, now: datetime) -> str:
        """Let *command* keep its place, the last one where it has none; return its key.

        The key is empty for a command that changes no row that is there.
        """
        row = command.row
        if row is None:
            return ""
        line = self.lines.setdefault(row, [])
        own = next((place for place in line if place.is_of(command)), None)
        if own is None:
            own = Place(command.key, now)
            line.append(own)
        self.kept[own.key] = row
        return own.key

    def end(self, command: Command) -> None:
        """Take *command*, which has its outcome, out of its line."""
        line = self._line(command)
        own = next((place for place in line if place.is_of(command)), None)
        if own is not None:
            line.remove(own)
            self.kept.pop(own.key, None)
            self.ended.append(own.key)

    def _line(self, command: Command) -> list[Place]:
        if not self.lines or command.row is None:
            return []
        return self.lines.get(command.row, [])
