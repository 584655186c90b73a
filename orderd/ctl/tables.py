"""Tables of text: with lines on a terminal, in plain aligned columns elsewhere."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from orderd.protocol.values import value

if TYPE_CHECKING:
    import rich.table
    from rich.console import JustifyMethod

_GAP = "  "


@value
class Column:
    """A column: numbers are better read on the right, long texts may be broken into lines."""

    title: str
    is_right: bool = False
    is_long: bool = False


@value
class Table:
    """Rows of cells, one cell for each column."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]


def plain(table: Table) -> str:
    """Return *table* as lines of aligned columns, the titles first."""
    lines = [[column.title for column in table.columns], *map(_printable_cells, table.rows)]
    widths = [max(map(_width, cells)) for cells in zip(*lines, strict=True)]
    return "\n".join(
        _GAP.join(
            _aligned(cell, width, is_right=column.is_right)
            for cell, width, column in zip(line, widths, table.columns, strict=True)
        ).rstrip()
        for line in lines
    )


def rich_table(table: Table) -> "rich.table.Table":
    """Return *table* as rich draws it."""
    # Takes as long as the rest of a command's start, so only when something is drawn.
    from rich import box  # noqa: PLC0415
    from rich.table import Table as RichTable  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    drawn = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in table.columns:
        justify: JustifyMethod = "right" if column.is_right else "left"
        no_wrap = not column.is_long
        drawn.add_column(column.title, justify=justify, no_wrap=no_wrap, overflow="fold")
    for row in table.rows:
        # As Text, so that a name with brackets is no markup.
        drawn.add_row(*(Text(cell) for cell in _printable_cells(row)))
    return drawn


def printable(text: str) -> str:
    """Return *text* with escapes for what a terminal would obey and for line breaks."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def _aligned(cell: str, width: int, *, is_right: bool) -> str:
    gap = " " * (width - _width(cell))
    return f"{gap}{cell}" if is_right else f"{cell}{gap}"


def _width(text: str) -> int:
    """Return how many columns of a terminal *text* takes: two for CJK and emoji."""
    if text.isascii():
        return len(text)
    # Slow to load, for few texts only.
    from rich.cells import cell_len  # noqa: PLC0415

    return cell_len(text)


def _printable_cells(row: Sequence[str]) -> list[str]:
    return [printable(cell) for cell in row]
