"""Times as PostgreSQL has them, also those that no `datetime` can be."""

from datetime import datetime
from typing import Final

import psycopg2
from psycopg2.extensions import PYDATETIMETZ, new_type
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - a class with a small name

_OID: Final = 1184  # timestamptz


def _moment(text: str | bytes | None, cursor: Cursor) -> datetime | None:
    """Return the time, None for null, infinity, and what is outside the years 1 to 9999.

    The row it stands in is then told to be unreadable, instead of the whole query.
    """
    if not isinstance(text, str) or text.endswith("infinity"):
        return None
    try:
        moment: datetime | None = PYDATETIMETZ(text, cursor)
    except (ValueError, OverflowError, psycopg2.DataError):
        return None
    return moment


MOMENT: Final = new_type((_OID,), "MOMENT", _moment)
