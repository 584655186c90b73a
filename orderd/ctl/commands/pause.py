"""`orderctl pause`: have all daemons take nothing from a queue."""

import argparse
import os
from contextlib import suppress
from datetime import UTC, datetime
from getpass import getuser
from typing import Final

from orderd.config.durations import parse_duration
from orderd.ctl.context import Context
from orderd.ctl.database import database_of
from orderd.ctl.errors import Failure
from orderd.protocol.exit_codes import ExitCode
from orderd.protocol.names import QUEUES
from orderd.protocol.rows import rfc3339
from orderd.protocol.values import value

_REASON_CHARS_MAX: Final = 500


@value
class Until:
    """The end of a pause: a moment, or so many seconds from now by the database's clock."""

    moment: datetime | None = None
    seconds: float | None = None


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_queue_argument(parser)
    parser.add_argument(
        "--reason",
        metavar="TEXT",
        required=True,
        type=_reason,
        help="why: status, log and events show it",
    )
    parser.add_argument(
        "--until",
        metavar="TIME",
        type=_until,
        default=Until(),
        help="end of the pause: a time such as 2026-05-01T06:00:00Z, or a duration from now "
        "such as 2h; default: until orderctl resume",
    )
    parser.epilog = (
        "All daemons obey within 5 s, and after a restart too. They finish what was delivered to "
        "them; the rest stays in the queue, and other queues go on. A queue that is paused already "
        "gets the new reason and end."
    )
    parser.set_defaults(run=run)


def add_queue_argument(parser: argparse.ArgumentParser) -> None:
    """Add the queue, one that a daemon consumes."""
    *others, last = QUEUES
    parser.add_argument(
        "queue", metavar="QUEUE", choices=QUEUES, help=f"{', '.join(others)} or {last}"
    )


def run(options: argparse.Namespace, context: Context) -> int:
    """Put the pause on record, which all daemons read."""
    until: Until = options.until
    with database_of(context.settings) as database, database.transaction() as tx:
        since, ends_at, has_ended = tx.row(
            "pause_queue",
            queue=options.queue,
            reason=options.reason,
            paused_by=_who(),
            until=until.moment,
            seconds=until.seconds,
        )
        if has_ended:
            raise Failure(f"--until: {rfc3339(ends_at)} is in the past by the database's clock")
    end = None if ends_at is None else rfc3339(ends_at)
    if context.console.is_json:
        told = {"since": rfc3339(since), "until": end, "reason": options.reason}
        context.console.document({"queue": options.queue, "paused": True, **told})
    else:
        how_long = f"until {end}" if end else f"until: orderctl resume {options.queue}"
        context.console.line(f"{options.queue} is paused {how_long}")
    return ExitCode.DONE


def _who() -> str:
    """Return the user, the one behind sudo where there is one, and the host."""
    name = os.environ.get("SUDO_USER", "")
    with suppress(OSError, KeyError):
        name = name or getuser()
    return f"{name or os.getuid()}@{os.uname().nodename}"


def _reason(text: str) -> str:
    if not text.strip() or len(text) > _REASON_CHARS_MAX or not text.isprintable():
        raise argparse.ArgumentTypeError(
            f"must be 1 to {_REASON_CHARS_MAX} printable characters in one line"
        )
    return text


def _until(text: str) -> Until:
    with suppress(ValueError):
        return Until(seconds=parse_duration(text))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither a time such as 2026-05-01T06:00:00Z nor a duration such as 2h"
        ) from None
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} has no time zone; add Z or an offset")
    return Until(moment=moment.astimezone(UTC))
