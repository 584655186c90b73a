"""What the rows have in common that clients see, and how they tell times.

A row writes its own JSON, by hand: it must carry decimals as numbers with all their digits, which
`json` cannot, and it stands on the hot path: three copies of each row leave the daemon.
"""

from datetime import datetime
from functools import lru_cache
from typing import Final, Protocol

# What a batch writes has one moment in common: its own.
MOMENTS_MAX: Final = 16


class Row(Protocol):
    """A row of any entity; it is never changed, but followed by its next revision."""

    @property
    def id(self) -> int:
        """Return the id, which no other row of its table has."""

    @property
    def created_at(self) -> datetime:
        """Return when it was made, in UTC."""

    @property
    def updated_at(self) -> datetime:
        """Return when it was last changed, in UTC."""

    @property
    def revision(self) -> int:
        """Return how many changes have made it what it is, with its creation."""

    def json(self) -> str:
        """Return the row as JSON text."""


@lru_cache(MOMENTS_MAX)
def rfc3339(moment: datetime) -> str:
    """Return *moment*, which must be in UTC, as RFC 3339 with six digits and a ``Z``."""
    return moment.isoformat(timespec="microseconds")[:-6] + "Z"
