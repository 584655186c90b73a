"""Rows of a table of orderd's own, as many as asked for, and whether there are more."""

import argparse
from collections.abc import Sequence
from functools import partial
from typing import Final

from orderd.ctl.console import Console
from orderd.ctl.entity import Row, Shown, table_of, whole_number

LIMIT: Final = 100
LIMIT_MAX: Final = 10_000


def add_limit_argument(parser: argparse.ArgumentParser) -> None:
    """Add --limit, the maximum number of rows, to *parser*."""
    parser.add_argument(
        "--limit",
        metavar="N",
        type=partial(whole_number, most=LIMIT_MAX),
        default=LIMIT,
        help=f"maximum number of rows, 1 to {LIMIT_MAX}; default: {LIMIT}",
    )


def show_page(
    console: Console, columns: Sequence[Shown], rows: Sequence[Row], limit: int, *, empty: str
) -> None:
    """Print *limit* of *rows*, or *empty*; one more row than that tells that there are more."""
    page = rows[:limit]
    if console.is_json:
        console.items(page, more=len(rows) > limit)
    else:
        console.table(table_of(columns, page), empty=empty)
    if len(rows) > limit:
        console.note(f"stopped at {limit}; more rows exist; raise --limit to see them")
