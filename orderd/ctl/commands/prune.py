"""`orderctl prune`: delete what ledger and notifications need not remember any more."""

import argparse
import math
from collections.abc import Mapping
from typing import Any, Final

from orderd.config.durations import format_duration
from orderd.ctl.context import Context
from orderd.ctl.database import database_of
from orderd.ctl.durations import duration
from orderd.ctl.entity import whole_number
from orderd.ctl.errors import Failure
from orderd.db.connection import Database
from orderd.db.faults import LockedOut, TransactionConflict
from orderd.protocol.exit_codes import ExitCode
from orderd.protocol.values import value

# Few enough for a short transaction.
SLICE_ROWS_MAX: Final = 1_000
# A deadlock with another session ends one of both.
TRIES_MAX: Final = 5
# Who forgets a request while it may still be delivered again would do it twice.
OLDER_THAN_MIN_S: Final = 3_600.0
OLDER_THAN_MAX_S: Final = 36_500 * 86_400.0


@value
class Old:
    """A table that is pruned: *what* its rows are, and the queries that do it and count."""

    what: str
    prune: str
    count: str


LEDGER: Final = Old("requests", "prune_ledger", "count_ledger_before")
NOTIFICATIONS: Final = Old("notifications", "prune_notifications", "count_notifications_before")


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--older-than",
        dest="older_than_s",
        metavar="DURATION",
        type=_age,
        help="minimum age of requests and notifications, for example 90d or 12h; default: setting "
        "ledger_retention",
    )
    parser.add_argument(
        "--limit", metavar="N", type=whole_number, help="maximum number of each, oldest first"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="change nothing; show what would be done"
    )
    parser.add_argument(
        "--yes", action="store_true", help="confirm the deletion; required to delete anything"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, context: Context) -> int:
    """Delete, or only count, what was settled long enough ago; tell how much."""
    settings, console = context.settings, context.console
    age_s = options.older_than_s or settings.ledger_retention
    is_meant = options.yes and not options.dry_run
    with database_of(settings) as database:
        with database.transaction() as tx:
            (horizon,) = tx.row("ledger_horizon", age_s=age_s)
        act = prune if is_meant else _count
        requests = act(database, LEDGER, horizon, options.limit)
        notifications = act(database, NOTIFICATIONS, horizon, options.limit)
    older_than = format_duration(age_s)
    if console.is_json:
        done = "pruned" if is_meant else "to_prune"
        counted = {done: requests, f"{done}_notifications": notifications}
        console.document({**counted, "older_than": older_than, "dry_run": not is_meant})
    else:
        done = "were deleted" if is_meant else "would be deleted"
        told = f"{requests} requests and {notifications} notifications"
        console.say(f"{told} older than {older_than} {done}")
    if (requests or notifications) and not (options.yes or options.dry_run):
        console.complain("nothing deleted; pass --yes to delete")
        return ExitCode.USAGE
    return ExitCode.DONE


def prune(database: Database, old: Old, horizon: Any, limit: int | None) -> int:
    """Delete slice by slice, each for good, and return how many rows that were.

    Of two that prune at once, one waits for the other's slice, finds it gone, and goes on.
    """
    left: float = math.inf if limit is None else limit
    pruned = 0
    since, first_id = "-infinity", None
    while pruned < left:
        wanted = int(min(left - pruned, SLICE_ROWS_MAX))
        bounds = {"horizon": horizon, "since": since, "rows_max": wanted}
        rows, last, next_id = _prune_slice(database, old, bounds)
        if last is None:
            break
        if rows == 0 and next_id == first_id:
            raise Failure(f"{pruned} {old.what} were deleted; a trigger or rule keeps the others")
        pruned += rows
        since, first_id = last, next_id
    return pruned


def _prune_slice(
    database: Database, old: Old, bounds: Mapping[str, Any]
) -> tuple[int, str | None, str | None]:
    """Return how many were deleted of the next slice, the time of its last, the least of its ids.

    None, where no row is left.
    """
    tries = 1
    while True:
        try:
            with database.transaction() as tx:
                tx.later("read_in_order")
                rows, last, first_id = tx.row(old.prune, **bounds)
        except LockedOut:
            raise
        except TransactionConflict:
            if tries == TRIES_MAX:
                raise
            tries += 1
        else:
            return int(rows), last, first_id


def _count(database: Database, old: Old, horizon: Any, limit: int | None) -> int:
    with database.transaction() as tx:
        tx.later("take_time_to_count")
        (rows,) = tx.row(old.count, horizon=horizon, rows_max=limit)
    return int(rows)


def _age(value: str) -> float:
    seconds = duration(value)
    if not OLDER_THAN_MIN_S <= seconds <= OLDER_THAN_MAX_S:
        raise argparse.ArgumentTypeError("must be between 1h and 36500d")
    return seconds
