"""Filters that select dead letters, and the windows they are processed in."""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from orderd.ctl.context import Context
from orderd.ctl.database import database_of
from orderd.ctl.dlq.dead_letters import DeadLetter
from orderd.ctl.dlq.groups import cause_of, group_id
from orderd.ctl.durations import duration
from orderd.ctl.entity import whole_number
from orderd.ctl.request import request_id, text
from orderd.protocol.names import QUEUES, dead_letter_queue
from orderd.protocol.values import value

WINDOW_LETTERS: Final = 100
WINDOW_BYTES_MAX: Final = 4 << 20
# Older than any message, and still within the range of datetime.
_AGO_MAX_S: Final = 1e9


@value
class Filters:
    """Conditions on dead letters; an empty list matches any."""

    codes: Sequence[str] = ()
    actions: Sequence[str] = ()
    ids: Sequence[str] = ()
    before: datetime | None = None
    after: datetime | None = None
    groups: Sequence[str] = ()

    def match(self, dead_letter: DeadLetter) -> bool:
        """Return whether *dead_letter* matches; one without a time matches no age filter."""
        for wanted, found in (
            (self.codes, dead_letter.code),
            (self.actions, dead_letter.action),
            (self.ids, dead_letter.request_id),
        ):
            if wanted and found not in wanted:
                return False
        if self.groups and cause_of(dead_letter).group not in self.groups:
            return False
        if self.before is None and self.after is None:
            return True
        moment = dead_letter.failed_at
        return (
            moment is not None
            and (self.before is None or moment <= self.before)
            and (self.after is None or moment >= self.after)
        )


def add_queue_argument(parser: argparse.ArgumentParser) -> None:
    """Add the queue argument to *parser*."""
    parser.add_argument(
        "queue",
        metavar="QUEUE",
        nargs="?",
        type=_queue,
        help=f"{', '.join(QUEUES)} or one of these names with .dlq appended; default: all",
    )


def add_filter_arguments(parser: argparse.ArgumentParser, *, is_age_required: bool = False) -> None:
    """Add the queue argument and the dead letter filters to *parser*."""
    add_queue_argument(parser)
    for option, dest, what in (
        ("--code", "codes", "with this error code"),
        ("--action", "actions", "with this action, of notifications with this type"),
    ):
        parser.add_argument(
            option,
            dest=dest,
            metavar=option[2:].upper(),
            action="append",
            default=[],
            type=text,
            help=f"only dead letters {what}; repeatable",
        )
    parser.add_argument(
        "--id",
        dest="ids",
        metavar="ID",
        action="append",
        default=[],
        type=request_id,
        help="only the request or event with this id; repeatable",
    )
    parser.add_argument(
        "--group",
        dest="groups",
        metavar="G",
        action="append",
        default=[],
        type=group_id,
        help="only dead letters of this group, as orderctl dlq groups prints it; repeatable",
    )
    for option, what in (("--older-than", "at least"), ("--newer-than", "at most")):
        parser.add_argument(
            option,
            metavar="DURATION",
            type=duration,
            required=is_age_required and option == "--older-than",
            help=f"only dead letters rejected {what} this long ago, for example 90s, 10min or 2h",
        )


def add_limit_argument(parser: argparse.ArgumentParser, default: int | None) -> None:
    """Add --limit, the maximum number of dead letters, to *parser*."""
    shown = "all" if default is None else default
    parser.add_argument(
        "--limit",
        metavar="N",
        type=whole_number,
        default=default,
        help=f"maximum number, oldest first; default: {shown}",
    )


def filters_of(options: argparse.Namespace, context: Context) -> Filters:
    """Return what the arguments ask for.

    Ages are told by the database's time, from which dead letters have theirs.
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
        groups=options.groups,
    )


def _time_of_the_database(context: Context) -> datetime:
    with database_of(context.settings) as database:
        return database.clock.now()


def windows(
    dead_letters: Iterable[DeadLetter], letters_max: int = WINDOW_LETTERS
) -> Iterator[list[DeadLetter]]:
    """Yield *dead_letters* in portions that are small enough to be held in memory."""
    window: list[DeadLetter] = []
    window_bytes = 0
    for dead_letter in dead_letters:
        window.append(dead_letter)
        window_bytes += len(dead_letter.delivery.body)
        if len(window) == letters_max or window_bytes >= WINDOW_BYTES_MAX:
            yield window
            window, window_bytes = [], 0
    if window:
        yield window


def _queue(value: str) -> str:
    name = value.removesuffix(dead_letter_queue(""))
    if name not in QUEUES:
        raise argparse.ArgumentTypeError(f"must be one of {', '.join(QUEUES)}")
    return name
