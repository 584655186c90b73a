"""Which dead letters are meant, and how many of them at a time."""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from orderd.ctl.context import Context
from orderd.ctl.database import database_of
from orderd.ctl.dlq.dead_letters import Letter
from orderd.ctl.durations import duration
from orderd.ctl.entity import whole_number
from orderd.ctl.request import request_id, text
from orderd.protocol.names import Queue, dead_letter_queue

WINDOW_LETTERS: Final = 100
WINDOW_BYTES_MAX: Final = 4 << 20
# Longer ago than any message, and still within what a datetime can say.
_AGO_MAX_S: Final = 1e9


@dataclass(frozen=True, slots=True)
class Filters:
    """What a letter must be like; an empty list asks for nothing."""

    codes: Sequence[str] = ()
    actions: Sequence[str] = ()
    ids: Sequence[str] = ()
    before: datetime | None = None
    after: datetime | None = None

    def match(self, letter: Letter) -> bool:
        """Return whether *letter* is meant; one without a time has no age that could fit."""
        for wanted, found in (
            (self.codes, letter.code),
            (self.actions, letter.action),
            (self.ids, letter.request_id),
        ):
            if wanted and found not in wanted:
                return False
        if self.before is None and self.after is None:
            return True
        moment = letter.failed_at
        return (
            moment is not None
            and (self.before is None or moment <= self.before)
            and (self.after is None or moment >= self.after)
        )


def add_filter_arguments(parser: argparse.ArgumentParser) -> None:
    """Let *parser* take a queue, and what its dead letters must be like."""
    parser.add_argument(
        "queue",
        metavar="QUEUE",
        nargs="?",
        type=_queue,
        help=f"{', '.join(Queue)} or such a name with .dlq; default: all",
    )
    for option, dest, what in (
        ("--code", "codes", "dead-lettered with this code"),
        ("--action", "actions", "that ask for this action"),
    ):
        parser.add_argument(
            option,
            dest=dest,
            metavar=option[2:].upper(),
            action="append",
            default=[],
            type=text,
            help=f"only those {what}; may be given several times",
        )
    parser.add_argument(
        "--id",
        dest="ids",
        metavar="ID",
        action="append",
        default=[],
        type=request_id,
        help="only the request with this id; may be given several times",
    )
    for option, what in (("--older-than", "at least"), ("--newer-than", "at most")):
        parser.add_argument(
            option,
            metavar="DURATION",
            type=duration,
            help=f"only those given up {what} so long ago, as 90s, 10min or 2h",
        )


def add_limit_argument(parser: argparse.ArgumentParser, default: int | None) -> None:
    """Let *parser* take how many letters at most."""
    shown = "all" if default is None else default
    parser.add_argument(
        "--limit",
        metavar="N",
        type=whole_number,
        default=default,
        help=f"at most so many, the oldest first; default: {shown}",
    )


def filters_of(options: argparse.Namespace, context: Context) -> Filters:
    """Return what the arguments ask for.

    Where they ask for an age, the database tells the time: letters have their times from there.
    """
    by_age = (options.older_than, options.newer_than)
    now = None if by_age == (None, None) else _time_of_the_database(context)

    def ago(seconds: float | None) -> datetime | None:
        if seconds is None or now is None:
            return None
        return now - timedelta(seconds=min(seconds, _AGO_MAX_S))

    return Filters(
        options.codes,
        options.actions,
        options.ids,
        before=ago(options.older_than),
        after=ago(options.newer_than),
    )


def _time_of_the_database(context: Context) -> datetime:
    with database_of(context.settings) as database:
        return database.clock.now()


def windows(letters: Iterator[Letter]) -> Iterator[list[Letter]]:
    """Yield *letters* in groups that are small enough to be held in memory."""
    window: list[Letter] = []
    window_bytes = 0
    for letter in letters:
        window.append(letter)
        window_bytes += len(letter.delivery.body)
        if len(window) == WINDOW_LETTERS or window_bytes >= WINDOW_BYTES_MAX:
            yield window
            window, window_bytes = [], 0
    if window:
        yield window


def _queue(value: str) -> str:
    name = value.removesuffix(dead_letter_queue(""))
    if name not in tuple(Queue):
        raise argparse.ArgumentTypeError(f"should be one of {', '.join(Queue)}")
    return name
