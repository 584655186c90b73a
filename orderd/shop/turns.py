"""Whose turn it is: commands that change one row take effect in the order in which they came.

A command that is deferred keeps its place in the line of its row. Later ones wait behind it, and
keep their own places meanwhile, until it has an outcome.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from orderd.protocol.envelope import Command
from orderd.protocol.rows import rfc3339
from orderd.protocol.values import value

Row = tuple[str, int]
"""The queue, and the id of a row in its table."""

# How keys begin that were given to commands without id; up to its last dot one tells the content.
GIVEN: Final = "~"


@value
class Place:
    """The place of a deferred command in the line of its row.

    `waited_s` is for how long it has been waiting for a lock, None if it has not.
    """

    key: str
    since: datetime
    waited_s: float | None = None

    def is_of(self, command: Command) -> bool:
        """Return whether it is the place of *command*."""
        if command.is_key_unsure:
            content, dot, _ = command.key.rpartition(".")
            return self.key.startswith(content + dot)
        return self.key == command.key

    def __str__(self) -> str:
        who = "a command without id" if self.key.startswith(GIVEN) else f"request {self.key[1:]!a}"
        return f"{who}, deferred since {rfc3339(self.since)}"


@value
class Kept:
    """A place that goes on record: its queue, its row where it has one, the lock it waits for."""

    queue: str
    row_id: int | None
    lock: str


@dataclass(slots=True)
class Turns:
    """The lines of the rows that a batch changes, each in the order of the first deferral.

    `waits` are the commands without a line, as they change no row that is there, that wait for a
    lock, by key. `kept` and `ended` are what is to be put on record: places that were taken or
    asked for again, and keys of those that were given up.
    """

    lines: dict[Row, list[Place]] = field(default_factory=dict)
    waits: dict[str, Place] = field(default_factory=dict)
    kept: dict[str, Kept] = field(default_factory=dict)
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

    def add(self, row: Row, place: Place) -> None:
        """Add the last place that is on record in the line of *row*."""
        self.lines.setdefault(row, []).append(place)

    def waited_s(self, command: Command) -> float | None:
        """Return for how long *command* has been waiting for a lock, None where it has not."""
        own = self._own(command)
        return None if own is None else own.waited_s

    def position(self, command: Command) -> int:
        """Return how many have places before *command* in its line; 0 where it has none."""
        own = self._own(command)
        line = self._line(command)
        return line.index(own) if own in line else 0

    def keep(self, command: Command, now: datetime, lock: str = "") -> str:
        """Let *command* keep its place, the last one where it has none; return its key.

        *lock* tells what it waits for. The key is empty for a command that changes no row that is
        there, unless it waits for a lock.
        """
        if command.row is None and not lock:
            # It may have waited for one before.
            self.end(command)
            return ""
        own = self._own(command)
        if own is None:
            own = Place(command.key, now)
            if command.row is None:
                self.waits[own.key] = own
            else:
                self.lines.setdefault(command.row, []).append(own)
        row_id = None if command.row is None else command.row[1]
        self.kept[own.key] = Kept(command.queue, row_id, lock)
        return own.key

    def end(self, command: Command) -> None:
        """Take *command*, which has its outcome, out of its line."""
        own = self._own(command)
        if own is not None:
            if command.row is None:
                del self.waits[own.key]
            else:
                self._line(command).remove(own)
            self.kept.pop(own.key, None)
            self.ended.append(own.key)

    def _own(self, command: Command) -> Place | None:
        if command.row is None:
            # A query may have the id of a command that waits.
            return None if command.content.is_query else self.waits.get(command.key)
        return next((place for place in self._line(command) if place.is_of(command)), None)

    def _line(self, command: Command) -> list[Place]:
        if not self.lines or command.row is None:
            return []
        return self.lines.get(command.row, [])
