"""The way of a search through the outbox: which ids are looked at next, and when.

A row that was deleted is read again by each search as long as any snapshot can see it. So a search
that takes long is done in pieces, each of which begins where the last one ended, and seldom.
"""

import time
from typing import Final

ID_MIN: Final = -(2**63 - 1)
ID_MAX: Final = 2**63 - 1
SPAN_MIN: Final = 1_000
SPAN_FIRST: Final = 100_000
# A piece takes about so long, in seconds, where there is that much to read.
_LEAST_S: Final = 0.02
_MOST_S: Final = 0.1
# A way in pieces is for searches that take longer than this.
_SHORT_S: Final = 0.25
_SHARE: Final = 20
PAUSE_MAX_S: Final = 60.0


class Search:
    """Where a search stands; it starts over when it has reached the end."""

    def __init__(self) -> None:
        """Begin with all ids at once."""
        self.after = ID_MIN
        self._span = ID_MAX
        self._in_pieces = False
        self._spent_s = 0.0
        self._has_found = False
        self._next_s = 0.0

    @property
    def is_due(self) -> bool:
        """Whether it is time to go on."""
        return time.monotonic() >= self._next_s

    @property
    def upto(self) -> int:
        """The last id of the next piece."""
        if not self._in_pieces:
            return ID_MAX
        # Hardly anybody gives ids below zero: one piece.
        return 0 if self.after < 0 else min(ID_MAX, self.after + self._span)

    def took_too_long(self) -> None:
        """Note that the piece could not be read in time: the next one is smaller."""
        self._span = max(SPAN_MIN, self._span // 1_000) if self._in_pieces else SPAN_FIRST
        self._in_pieces = True

    def went_on(self, took_s: float, last_id: int | None, *, has_found: bool) -> bool:
        """Note that a piece was read in *took_s*, whole, or else up to *last_id*.

        Returns whether that was the end of the way.
        """
        self._spent_s += took_s
        self._has_found = self._has_found or has_found
        self.after = self.upto if last_id is None else last_id
        if took_s < _LEAST_S:
            self._span = min(ID_MAX, self._span * 4)
        elif took_s > _MOST_S:
            self._span = max(SPAN_MIN, self._span // 2)
        if self.after < ID_MAX:
            return False
        # Where nothing was found, the next search can wait, in proportion to what it costs.
        pause_s = 0.0 if self._has_found else min(PAUSE_MAX_S, _SHARE * self._spent_s)
        self._next_s = time.monotonic() + pause_s
        self._in_pieces = self._spent_s > _SHORT_S
        self._span = SPAN_FIRST
        self.after, self._spent_s, self._has_found = ID_MIN, 0.0, False
        return True
