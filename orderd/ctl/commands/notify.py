"""`orderctl notify`: what was sent to whom, what was not and why, and how it would look."""

import argparse
from typing import Any, Final

from orderd.ctl.context import Context
from orderd.ctl.database import database_of
from orderd.ctl.dlq.groups import group_id
from orderd.ctl.entity import Row, Shown, plainly, table_of, whole_number
from orderd.ctl.errors import Failure
from orderd.ctl.notify.rows import because, notification, read_notifications, recipient
from orderd.ctl.pagination import add_limit_argument, show_page
from orderd.ctl.request import request_id, text
from orderd.ctl.tables import counted
from orderd.protocol.exit_codes import ExitCode
from orderd.protocol.notifications import State


def _moment(name: str, title: str) -> Shown:
    def cell(row: Row) -> str:
        return f"{row[name][:19].replace('T', ' ')}Z" if row[name] else ""

    return Shown(title, cell, is_extra=True)


_LISTED: Final = (
    Shown("event", plainly("id")),
    Shown("state", plainly("state")),
    Shown("type", plainly("type"), is_extra=True),
    Shown("channel", plainly("channel"), is_extra=True),
    Shown("recipient", plainly("recipient"), is_extra=True),
    _moment("created_at", "created"),
    Shown("because", because, is_long=True),
)
_OF_ONE: Final = (
    Shown("channel", plainly("channel")),
    Shown("recipient", recipient, is_long=True),
    Shown("state", plainly("state")),
    Shown("attempts", plainly("attempts"), is_right=True),
    _moment("created_at", "created"),
    _moment("sent_at", "sent"),
    Shown("because", because, is_long=True),
)


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's verbs."""
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    _register_looks(verbs)
    retried = verbs.add_parser("retry", help="have what has failed sent again, by orderd-notify")
    retried.add_argument(
        "ids", metavar="EVENT_ID", nargs="*", type=request_id, help="id of an event"
    )
    retried.add_argument(
        "--group",
        dest="groups",
        metavar="G",
        action="append",
        default=[],
        type=group_id,
        help="all dead letters of this group, as orderctl dlq groups prints it; repeatable",
    )
    retried.add_argument(
        "--dry-run", action="store_true", help="change nothing; show what would be done"
    )
    retried.set_defaults(run=retry)
    _register_trials(verbs)


def _register_looks(verbs: Any) -> None:
    listed = verbs.add_parser("list", help="list notifications, latest first")
    listed.add_argument(
        "--state", choices=list(map(str, State)), help="only those that have come to this state"
    )
    for name, of in (("type", "of this type"), ("channel", "over this channel")):
        listed.add_argument(f"--{name}", metavar=name.upper(), type=text, help=f"only those {of}")
    listed.add_argument(
        "--user", metavar="ID", type=whole_number, help="only those to the user with this id"
    )
    add_limit_argument(listed)
    listed.set_defaults(run=list_notifications)
    shown = verbs.add_parser(
        "show", help="show what became of one event, over all channels to all recipients"
    )
    shown.add_argument("id", metavar="EVENT_ID", type=request_id, help="id of the event")
    shown.set_defaults(run=show)


def _register_trials(verbs: Any) -> None:
    previewed = verbs.add_parser(
        "preview", help="print a notification as the templates put it; nothing is sent"
    )
    previewed.add_argument(
        "type", metavar="TYPE", type=text, help="type of the event, such as order.shipped"
    )
    previewed.add_argument(
        "event",
        metavar="JSON",
        nargs="?",
        help="the event; - reads stdin, @FILE a file; default: an example",
    )
    previewed.set_defaults(run=preview)
    tried = verbs.add_parser("test", help="send one test message over a channel of the settings")
    tried.add_argument("channel", metavar="CHANNEL", type=text, help="name of the channel")
    tried.add_argument(
        "--to",
        metavar="ADDRESS",
        type=text,
        help="e-mail address to send to; default: those of the channel, which one for users has "
        "not",
    )
    tried.set_defaults(run=try_channel)
    tried.epilog = (
        "Exit codes: 0 the server has taken the message, 1 it refuses it, 2 usage, 69 it cannot be "
        "reached, 78 bad configuration."
    )


def list_notifications(options: argparse.Namespace, context: Context) -> int:
    """Print the latest ones; one more than asked for tells whether there are more."""
    with database_of(context.settings) as database, database.transaction() as tx:
        found = tx.rows(
            "list_notifications",
            state=options.state,
            type=options.type,
            channel=options.channel,
            recipient=None if options.user is None else f"user/{options.user}",
            rows_max=options.limit + 1,
        )
    rows = [notification(fields) for fields in found]
    show_page(context.console, _LISTED, rows, options.limit, empty="no notifications")
    return ExitCode.DONE


def show(options: argparse.Namespace, context: Context) -> int:
    """Print all of one event; a failure where there is none."""
    console = context.console
    with database_of(context.settings) as database, database.transaction() as tx:
        rows = read_notifications(tx, [options.id])
    if not rows:
        raise Failure(f"no notification of event {options.id}; see orderctl explain")
    if console.is_json:
        console.document({"id": options.id, "type": rows[0]["type"], "notifications": rows})
        return ExitCode.DONE
    console.say(f"{rows[0]['type']} {options.id}: {counted(len(rows), 'notification')}")
    console.table(table_of(_OF_ONE, rows))
    return ExitCode.DONE


def retry(options: argparse.Namespace, context: Context) -> int:
    """Put dead letters back into their queues."""
    from orderd.ctl.notify import retry as retrying  # noqa: PLC0415 (as what follows: slow to load)

    return retrying.retry(options, context)


def preview(options: argparse.Namespace, context: Context) -> int:
    """Print a notification in words."""
    from orderd.ctl.notify import preview as previewing  # noqa: PLC0415

    return previewing.preview(options, context)


def try_channel(options: argparse.Namespace, context: Context) -> int:
    """Send a test message."""
    from orderd.ctl.notify import trial  # noqa: PLC0415

    return trial.test(options, context)
