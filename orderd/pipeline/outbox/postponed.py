"""Rows of the outbox with which something could not be done, to be tried again ever later."""

import time
from collections.abc import Collection, Iterable, Sequence

from orderd.pipeline.outbox.rows import RowKey

ROWS_MAX = 100_000


class Kept:
    """Such rows, and when the next try at them is due."""

    def __init__(self, first_s: float, longest_s: float) -> None:
        """Try again after *first_s*, then after twice as long each time, *longest_s* at most."""
        self._first_s = first_s
        self._longest_s = longest_s
        self._rows: dict[RowKey, None] = {}
        self._next_s = float("inf")
        self._delay_s = first_s

    def __len__(self) -> int:
        """Return how many rows are kept."""
        return len(self._rows)

    def __contains__(self, row: RowKey) -> bool:
        """Return whether *row* is kept."""
        return row in self._rows

    def add(self, rows: Iterable[RowKey]) -> None:
        """Keep *rows* as well, as far as there is room."""
        is_first = not self._rows
        room = max(0, ROWS_MAX - len(self._rows))
        self._rows |= dict.fromkeys(list(rows)[:room])
        if is_first and self._rows:
            self._delay_s = self._first_s
            self._next_s = time.monotonic() + self._delay_s

    def due(self, rows_max: int) -> list[RowKey]:
        """Return rows to be tried again now, those tried longest ago first; they stay here."""
        return list(self._rows)[:rows_max] if time.monotonic() >= self._next_s else []

    def hasten(self) -> None:
        """Have the next try made at once."""
        if self._rows:
            self._next_s = time.monotonic()

    def note(self, tried: Sequence[RowKey], left: Collection[RowKey]) -> None:
        """Note that of the rows *tried* again all was done but for those *left*."""
        for row in tried:
            self._rows.pop(row, None)
        self._rows |= dict.fromkeys(row for row in tried if row in left)
        is_progress = len(left) < len(tried)
        self._delay_s = self._first_s if is_progress else min(2 * self._delay_s, self._longest_s)
        wait_s = self._delay_s if left else 0.0
        self._next_s = time.monotonic() + wait_s if self._rows else float("inf")
