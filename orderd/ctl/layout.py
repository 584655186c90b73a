"""Tables on a terminal: nothing is wider than it, as far as no id has to be broken for that."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from orderd.ctl.tables import Column, Table, Whole, aligned, printable_cells, width_of
from orderd.ctl.terminal import BOLD, RED, YELLOW, painted
from orderd.protocol.values import value

_GAP: Final = "  "
# A text is still read easily in so many columns; words up to the second are not broken there.
_LONG_MIN: Final = 20
_WORD_MAX: Final = 40
_STYLES: Final = {"NOT OK": RED, "WARNING": YELLOW, "missing": RED}


@value
class _Fitted:
    """A table whose long texts are to be broken into *widths*, one for each column."""

    table: Table
    widths: Sequence[int]


def lines_of(table: Table, width: int) -> list[str]:
    """Return *table* for a terminal of *width* columns.

    Long texts are broken into lines. Where that is not enough, columns that tell least are left
    out, and where that is not enough either, the cells of each row stand below each other.
    """
    whole = replace(table, rows=[printable_cells(row) for row in table.rows])
    shown = whole
    while (fitted := _fitted(shown, width)) is None:
        extra = [index for index, column in enumerate(shown.columns) if column.is_extra]
        if not extra:
            return list(_stacked(whole, width))
        shown = _without(shown, extra[-1])
    return list(_drawn(fitted))


def wrapped(text: str, width: int, *, is_whole: bool = False) -> list[str]:
    """Return *text* in lines of *width* columns, broken at spaces.

    A word that is longer is broken, unless *is_whole*: then it stands in a line of its own.
    """
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if width_of(longer) <= width:
            line = longer
            continue
        if line:
            lines.append(line)
        *broken, line = [word] if is_whole else _broken(word, width)
        lines += broken
    return [*lines, line]


def _fitted(table: Table, width: int) -> _Fitted | None:
    """Return how *table* fits into *width*, None where it does not."""
    cells = [
        [column.title, *(row[index] for row in table.rows)]
        for index, column in enumerate(table.columns)
    ]
    full = [max(map(width_of, column)) for column in cells]
    widths = [
        min(most, _least(column, texts)) if column.is_long else most
        for column, most, texts in zip(table.columns, full, cells, strict=True)
    ]
    left = width - sum(widths) - len(_GAP) * (len(widths) - 1)
    if left < 0:
        return None
    # What is left goes to the columns that lack most, one by one.
    while left > 0 and widths != full:
        lack = [most - found for most, found in zip(full, widths, strict=True)]
        widths[lack.index(max(lack))] += 1
        left -= 1
    return _Fitted(table, widths)


def _least(column: Column, texts: Sequence[str]) -> int:
    words = [width_of(word) for text in texts for word in text.split(" ")]
    longest = max((width for width in words if width <= _WORD_MAX), default=0)
    return max(width_of(column.title), longest, _LONG_MIN)


def _drawn(fitted: _Fitted) -> Iterator[str]:
    columns, widths = fitted.table.columns, fitted.widths
    titles = [
        aligned(column.title, width, is_right=column.is_right)
        for column, width in zip(columns, widths, strict=True)
    ]
    yield painted(_GAP.join(titles).rstrip(), BOLD)
    for row in fitted.table.rows:
        broken = [
            wrapped(cell, width) if column.is_long and not isinstance(cell, Whole) else [cell]
            for cell, column, width in zip(row, columns, widths, strict=True)
        ]
        for number in range(max(map(len, broken))):
            parts = [lines[number] if number < len(lines) else "" for lines in broken]
            cells = [
                _cell(part, column, width)
                for part, column, width in zip(parts, columns, widths, strict=True)
            ]
            yield _GAP.join(cells).rstrip()


def _cell(text: str, column: Column, width: int) -> str:
    padded = aligned(text, width, is_right=column.is_right)
    return padded.replace(text, painted(text, _STYLES[text])) if text in _STYLES else padded


def _stacked(table: Table, width: int) -> Iterator[str]:
    titles = max(width_of(column.title) for column in table.columns)
    for number, row in enumerate(table.rows):
        if number:
            yield ""
        for column, cell in zip(table.columns, row, strict=True):
            title = painted(aligned(column.title, titles, is_right=False), BOLD)
            room = max(width - titles - len(_GAP), _LONG_MIN)
            if not column.is_long and width_of(cell) > room:
                # Whole, even where the terminal has to go on in the next line.
                yield title.rstrip()
                yield cell
                continue
            first, *others = wrapped(cell, room) if column.is_long else [cell]
            yield f"{title}{_GAP}{_cell(first, column, 0)}".rstrip()
            yield from (f"{' ' * titles}{_GAP}{line}" for line in others)


def _without(table: Table, index: int) -> Table:
    columns = [*table.columns[:index], *table.columns[index + 1 :]]
    return Table(columns, [[*row[:index], *row[index + 1 :]] for row in table.rows])


def _broken(word: str, width: int) -> list[str]:
    lines = [""]
    for char in word:
        if width_of(lines[-1] + char) > width and lines[-1]:
            lines.append("")
        lines[-1] += char
    return lines
