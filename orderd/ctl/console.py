"""What a command prints: results on stdout, for people or as JSON, and remarks on stderr."""

import io
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TextIO

from orderd.ctl.json_text import compact, error_document, items_text, pretty
from orderd.ctl.layout import lines_of, wrapped
from orderd.ctl.tables import Table, Whole, plain, printable
from orderd.ctl.terminal import painted, width
from orderd.protocol.masking import masked

if TYPE_CHECKING:
    from rich.progress import Progress

Advance = Callable[[], object]
# Less than that is done before a bar could be read; of what is slow, less than the second.
_LONG: Final = 500
_LONG_IF_SLOW: Final = 10
_HOME_AND_CLEAR: Final = "\x1b[H\x1b[2J"


class Console:
    """Stdout and stderr; `is_json` says in which form results are wanted.

    Tokens are masked in all that is printed, but for what goes through `exact`.
    """

    def __init__(self, *, is_json: bool) -> None:
        self.is_json = is_json
        self._has_document = False
        self._before = ""
        self._shown_bars: Progress | None = None
        self._is_line_ended = False
        for stream in (sys.stdout, sys.stderr):
            # A locale that lacks a character is no reason to fail half-way.
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")

    def document(self, value: Any) -> None:
        """Print *value* as one JSON document: indented on a terminal, else in one line."""
        self._has_document = True
        self.line(pretty(value) if sys.stdout.isatty() else compact(value))

    def items(self, documents: Iterable[Any], **more: Any) -> None:
        """Print `{"items": [...], ...more}` as one JSON document, each item once it is there.

        A member of *more* that is a function is called after the last item, for what is known
        only then. Where *documents* raise, the list ends there, the member `error` says why, and
        the exception goes on.
        """
        self._has_document = True
        for piece in items_text(documents, more, is_indented=sys.stdout.isatty()):
            self.write(piece)

    def failed(self, error: BaseException) -> None:
        """Print in JSON mode what ended the command, unless a document was printed before."""
        if self.is_json and not self._has_document:
            self.document({"error": error_document(error), **getattr(error, "facts", {})})

    def table(self, table: Table, *, empty: str = "") -> None:
        """Print *table*, its cells made printable; where it has no rows, say *empty* on stderr.

        A terminal shows it as wide as it is; elsewhere it is as wide as its content.
        """
        # A token that is broken into lines could not be found any more.
        table = replace(table, rows=[[_masked_cell(cell) for cell in row] for row in table.rows])
        if not sys.stdout.isatty():
            self.line(plain(table))
        elif table.rows or not empty:
            self.line("\n".join(lines_of(table, width())))
        if empty and not table.rows:
            self.note(empty)

    def say(self, text: str, style: str = "") -> None:
        """Print *text*, a sentence, on stdout; a terminal shows it in lines, painted in *style*."""
        lines = _lines(printable(masked(text)), sys.stdout)
        self.line("\n".join(painted(line, style) if style else line for line in lines))

    def new_screen(self) -> None:
        """Clear the terminal once the next text is there, so that nothing flickers meanwhile."""
        if sys.stdout.isatty():
            self._before = _HOME_AND_CLEAR

    def line(self, text: str = "") -> None:
        """Print *text*, which has to be printable, on stdout."""
        self.write(f"{text}\n")

    def write(self, text: str) -> None:
        """Print *text*, which has ends of lines of its own, as it is."""
        self.exact(masked(text))

    def exact(self, text: str) -> None:
        """Print *text* to the byte, tokens in it as well."""
        before, self._before = self._before, ""
        sys.stdout.write(f"{before}{text}")

    def note(self, text: str) -> None:
        """Say on stderr what is no part of the result, after what was printed before."""
        self.flush()
        # Without a reader of stderr the work goes on.
        with suppress(OSError):
            for line in _lines(printable(masked(text)), sys.stderr):
                sys.stderr.write(f"{line}\n")

    def complain(self, text: str) -> None:
        """Say on stderr, line by line, what is wrong."""
        for line in text.splitlines():
            self.note(f"orderctl: {line}")

    def interrupted(self, told: str = "") -> None:
        """End the line in which the terminal shows ^C, and say what was done until then."""
        if not self._is_line_ended and sys.stderr.isatty():
            self.note("")
        self._is_line_ended = True
        if told:
            self.note(told)

    @contextmanager
    def progress(self, purpose: str, total: int, *, is_slow: bool = False) -> Iterator[Advance]:
        """Give what is to be called for each of *total* steps; a terminal shows a bar if many.

        A bar that is begun within another one stands below it.
        """
        if total < (_LONG_IF_SLOW if is_slow else _LONG) or not sys.stderr.isatty():
            yield lambda: None
            return
        with self._bars() as bars:
            step = bars.add_task(purpose, total=total)
            yield lambda: bars.advance(step)
            bars.remove_task(step)

    @contextmanager
    def _bars(self) -> Iterator["Progress"]:
        """Give the display of bars, which is there until the first of them ends."""
        if self._shown_bars is not None:
            yield self._shown_bars
            return
        # Slow to load, for terminals only.
        from rich.console import Console as RichConsole  # noqa: PLC0415
        from rich.progress import MofNCompleteColumn, Progress  # noqa: PLC0415

        columns = (*Progress.get_default_columns(), MofNCompleteColumn())
        console = RichConsole(file=sys.stderr)
        # Results go to stdout as they are, not through the bar.
        bars = Progress(*columns, console=console, transient=True, redirect_stdout=False)
        with bars:
            self._shown_bars = bars
            try:
                yield bars
            except KeyboardInterrupt:
                # The line is cleared together with the bars.
                self._is_line_ended = True
                raise
            finally:
                self._shown_bars = None

    def flush(self) -> None:
        """Write out what is still in memory; a closed pipe is found out here."""
        sys.stdout.flush()


def _masked_cell(cell: str) -> str:
    return Whole(masked(cell)) if isinstance(cell, Whole) else masked(cell)


def _lines(text: str, stream: TextIO) -> list[str]:
    """Return *text* as *stream* shows it: on a terminal in lines, broken at spaces."""
    return wrapped(text, width(), is_whole=True) if stream.isatty() else [text]
