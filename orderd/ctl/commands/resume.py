"""`orderctl resume`: have the daemons take from a paused queue again."""

import argparse

from orderd.ctl.commands.pause import add_queue_argument
from orderd.ctl.context import Context
from orderd.ctl.database import database_of
from orderd.protocol.exit_codes import ExitCode


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_queue_argument(parser)
    parser.epilog = (
        "All daemons obey within 5 s. A queue that is not paused stays as it is, which is no "
        "failure."
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, context: Context) -> int:
    """End the pause on record, which all daemons read."""
    with database_of(context.settings) as database, database.transaction() as tx:
        found = tx.rows("resume_queue", queue=options.queue)
    was_paused = bool(found)
    if context.console.is_json:
        context.console.document(
            {"queue": options.queue, "paused": False, "was_paused": was_paused}
        )
    else:
        said = "is resumed" if was_paused else "was not paused"
        context.console.line(f"{options.queue} {said}")
    return ExitCode.DONE
