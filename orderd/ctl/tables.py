"""Tables of text, in plain aligned columns; `layout` fits them into a terminal."""

from collections.abc import Sequence

from orderd.protocol.values import value

_GAP = "  "


@value
class Column:
    """A column: numbers are better read on the right, long texts may be broken into lines.

    Ids are not long in that sense. What is extra is left out first where a terminal is narrow.
    """

    title: str
    is_right: bool = False
    is_long: bool = False
    is_extra: bool = False


class Whole(str):
    """A cell of a long column that is not broken all the same: an id."""

    __slots__ = ()


@value
class Table:
    """Rows of cells, one cell for each column."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]


def plain(table: Table) -> str:
    """Return *table* as lines of aligned columns, the titles first."""
    lines = [[column.title for column in table.columns], *map(printable_cells, table.rows)]
    widths = [max(map(width_of, cells)) for cells in zip(*lines, strict=True)]
    return "\n".join(
        _GAP.join(
            aligned(cell, width, is_right=column.is_right)
            for cell, width, column in zip(line, widths, table.columns, strict=True)
        ).rstrip()
        for line in lines
    )


def printable(text: str) -> str:
    """Return *text* with escapes for what a terminal would obey and for line breaks."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def counted(count: int, noun: str) -> str:
    """Return *count* with *noun*, in the plural unless it is one."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def aligned(cell: str, width: int, *, is_right: bool) -> str:
    """Return *cell* with the spaces that it lacks to *width*."""
    gap = " " * (width - width_of(cell))
    return f"{gap}{cell}" if is_right else f"{cell}{gap}"


def width_of(text: str) -> int:
    """Return how many columns of a terminal *text* takes: two for CJK and emoji."""
    if text.isascii():
        return len(text)
    # Slow to load, for few texts only.
    from rich.cells import cell_len  # noqa: PLC0415

    return cell_len(text)


def printable_cells(row: Sequence[str]) -> list[str]:
    """Return the cells of *row*, each printable."""
    return [Whole(printable(cell)) if isinstance(cell, Whole) else printable(cell) for cell in row]
