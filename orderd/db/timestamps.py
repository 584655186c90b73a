"""Times as PostgreSQL has them, also those that no `datetime` can be."""

from datetime import datetime
from typing import Final

from psycopg2.extensions import cursor as Cursor  # noqa: N812 - a class with a small name
from psycopg2.extensions import new_type

_OID: Final = 1184  # timestamptz


def _moment(text: str | bytes | None, _cursor: Cursor) -> datetime | None:
    """Return the time, None for null, infinity, and what is outside the years 1 to 9999.

    The row it stands in is then told to be unreadable, instead of the whole query.
    """
    if not isinstance(text, str):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


MOMENT: Final = new_type((_OID,), "MOMENT", _moment)
