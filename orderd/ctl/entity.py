"""`orderctl orders|products|users`: rows as the daemon's queries give them."""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

from orderd.ctl.client import Client, Request, client_of
from orderd.ctl.console import Console
from orderd.ctl.context import Context
from orderd.ctl.request import add_timeout_argument, add_token_argument, token_of
from orderd.ctl.tables import Column, Table
from orderd.protocol.exit_codes import ExitCode
from orderd.protocol.limits import LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX
from orderd.protocol.values import value

TIMEOUT_S: Final = 10.0
Row = Mapping[str, Any]
# Gives the answer to a question with this content.
Ask = Callable[[Row], Any]


@value
class Shown:
    """A column of the table, and how to get its cell from a row."""

    title: str
    cell: Callable[[Row], str]
    is_right: bool = False
    is_long: bool = False
    is_extra: bool = False


@value
class Entity:
    """A kind of rows: the queue that answers for it, its table and its filters."""

    queue: str
    columns: Sequence[Shown]
    add_filters: Callable[[argparse.ArgumentParser], None]
    filters: Sequence[str] = ()


def register_entity(parser: argparse.ArgumentParser, entity: Entity) -> None:
    """Add the verbs `list` and `get`."""
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    listed = verbs.add_parser("list", help="list rows ordered by id")
    entity.add_filters(listed)
    extent = listed.add_mutually_exclusive_group()
    extent.add_argument(
        "--limit",
        metavar="N",
        type=partial(whole_number, most=LIST_LIMIT_MAX),
        help=f"maximum number of rows, 1 to {LIST_LIMIT_MAX}; default: {LIST_LIMIT_DEFAULT}",
    )
    extent.add_argument("--all", action="store_true", help="all rows")
    listed.add_argument(
        "--after",
        metavar="ID",
        type=partial(whole_number, least=0),
        help="only rows with a greater id",
    )
    got = verbs.add_parser("get", help="show one row")
    got.add_argument("id", metavar="ID", type=whole_number, help="the row's id")
    for verb, run in ((listed, list_rows), (got, get_row)):
        add_token_argument(verb)
        add_timeout_argument(verb, TIMEOUT_S)
        verb.set_defaults(run=partial(run, entity))


def list_rows(entity: Entity, options: argparse.Namespace, context: Context) -> int:
    """Print one page of rows, or all pages."""
    wanted = {name: getattr(options, name) for name in (*entity.filters, "limit", "after")}
    wanted = {name: value for name, value in wanted.items() if value is not None}
    console = context.console
    with client_of(context.settings) as client:
        ask = partial(_ask, client, entity.queue, "list", options)
        if options.all and console.is_json:
            _stream(ask, wanted, console)
            return ExitCode.DONE
        page = _every_row(ask, wanted) if options.all else ask(wanted)
    if console.is_json:
        beside = {"next": page["next"], "total": page["total"]}
        console.items(page["items"], **beside, unreadable=page.get("unreadable", []))
        return ExitCode.DONE
    console.table(table_of(entity.columns, page["items"]), empty=f"no {entity.queue}s match")
    if "unreadable" in page:
        ids = ", ".join(map(str, page["unreadable"]))
        console.note(f"skipped, with values that cannot be represented: {entity.queue} {ids}")
    if page["next"] is not None:
        total = "more than 10000" if page["total"] is None else page["total"]
        console.note(f"{len(page['items'])} of {total}; continue with --after {page['next']}")
    return ExitCode.DONE


def get_row(entity: Entity, options: argparse.Namespace, context: Context) -> int:
    """Print one row, with its times and its revision."""
    with client_of(context.settings) as client:
        row = _ask(client, entity.queue, "get", options, {"id": options.id})
    if context.console.is_json:
        context.console.document(row)
    else:
        cells = [(column.title, column.cell(row)) for column in (*entity.columns, *_COMMON)]
        context.console.table(Table((Column("field"), Column("value", is_long=True)), cells))
    return ExitCode.DONE


def table_of(columns: Sequence[Shown], rows: Sequence[Row]) -> Table:
    """Return *rows* as a table."""
    titles = [
        Column(column.title, column.is_right, column.is_long, column.is_extra) for column in columns
    ]
    return Table(titles, [[column.cell(row) for column in columns] for row in rows])


def plainly(name: str) -> Callable[[Row], str]:
    """Return how to show the field *name*: as it is, nothing for null, yes or no."""

    def cell(row: Row) -> str:
        match row[name]:
            case None:
                return ""
            case bool(value):
                return "yes" if value else "no"
            case value:
                return str(value)

    return cell


def whole_number(text: str, least: int = 1, most: int = 2**63 - 1) -> int:
    """Return the number that *text* says, for argparse."""
    number = int(text) if text.isdecimal() and len(text) <= len(str(most)) else -1
    if not least <= number <= most:
        raise argparse.ArgumentTypeError(f"must be a whole number from {least} to {most}")
    return number


def _moment(name: str) -> Shown:
    def cell(row: Row) -> str:
        return f"{row[name][:19].replace('T', ' ')}Z"

    return Shown(name.removesuffix("_at"), cell)


# RFC 3339 in the row, to the second here.
_COMMON: Final = (
    _moment("created_at"),
    _moment("updated_at"),
    Shown("revision", plainly("revision")),
)


def _every_row(ask: Ask, wanted: Row) -> Any:
    pages = list(_pages(ask, wanted))
    items = [row for page in pages for row in page["items"]]
    unreadable = [row_id for page in pages for row_id in page.get("unreadable", [])]
    beside = {"unreadable": unreadable} if unreadable else {}
    return {**pages[-1], "items": items, **beside}


def _stream(ask: Ask, wanted: Row, console: Console) -> None:
    """Print all rows as one document, of which one page at a time is in memory."""
    unreadable: list[int] = []
    last: dict[str, Any] = {}

    def rows() -> Iterator[Row]:
        for page in _pages(ask, wanted):
            unreadable.extend(page.get("unreadable", []))
            last.update(page)
            yield from page["items"]

    console.items(
        rows(),
        next=lambda: last.get("next"),
        total=lambda: last.get("total"),
        unreadable=lambda: unreadable,
    )


def _pages(ask: Ask, wanted: Row) -> Iterator[Any]:
    page = ask({**wanted, "limit": LIST_LIMIT_MAX})
    yield page
    while page["next"] is not None:
        page = ask({**wanted, "limit": LIST_LIMIT_MAX, "after": page["next"]})
        yield page


def _ask(client: Client, queue: str, action: str, options: argparse.Namespace, content: Row) -> Any:
    request = Request(queue, action, content, token=token_of(options))
    return client.ask(request, options.timeout_s)
