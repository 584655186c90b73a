"""What a command prints: results on stdout, for people or as JSON, and remarks on stderr."""

import io
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from orderd.ctl.json_text import compact, error_document, items_text, pretty
from orderd.ctl.tables import Table, plain, printable, rich_table

Advance = Callable[[], object]
# Less than that is done before a bar could be read.
_LONG: Final = 500


class Console:
    """Stdout and stderr; `is_json` says in which form results are wanted."""

    def __init__(self, *, is_json: bool) -> None:
        self.is_json = is_json
        self._has_document = False
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
        """Print *table*, its cells made printable; where it has no rows, say *empty* on stderr."""
        if empty and not table.rows:
            self.note(empty)
        if sys.stdout.isatty():
            from rich.console import Console as RichConsole  # noqa: PLC0415 (slow to load, for terminals only)

            RichConsole(file=sys.stdout).print(rich_table(table))
        else:
            self.line(plain(table))

    def line(self, text: str = "") -> None:
        """Print *text*, which has to be printable, on stdout."""
        sys.stdout.write(f"{text}\n")

    def write(self, text: str) -> None:
        """Print *text*, which has ends of lines of its own, as it is."""
        sys.stdout.write(text)

    def note(self, text: str) -> None:
        """Say on stderr what is no part of the result, after what was printed before."""
        self.flush()
        # Without a reader of stderr the work goes on.
        with suppress(OSError):
            sys.stderr.write(f"{printable(text)}\n")

    def complain(self, text: str) -> None:
        """Say on stderr, line by line, what is wrong."""
        for line in text.splitlines():
            self.note(f"orderctl: {line}")

    @contextmanager
    def progress(self, purpose: str, total: int) -> Iterator[Advance]:
        """Give what is to be called for each of *total* steps; a terminal shows a bar if many."""
        if total < _LONG or not sys.stderr.isatty():
            yield lambda: None
            return
        # Slow to load, for terminals only.
        from rich.console import Console as RichConsole  # noqa: PLC0415
        from rich.progress import MofNCompleteColumn, Progress  # noqa: PLC0415

        columns = (*Progress.get_default_columns(), MofNCompleteColumn())
        console = RichConsole(file=sys.stderr)
        # Results go to stdout as they are, not through the bar.
        bar = Progress(*columns, console=console, transient=True, redirect_stdout=False)
        with bar:
            step = bar.add_task(purpose, total=total)
            yield lambda: bar.advance(step)

    def flush(self) -> None:
        """Write out what is still in memory; a closed pipe is found out here."""
        sys.stdout.flush()
