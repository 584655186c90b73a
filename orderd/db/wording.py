"""Words for a database error, without the values that its message and DETAIL contain."""

import re
from typing import Final

import psycopg2
import psycopg2.errors

from orderd.runtime.address_filter import explained

# Names of what is missing or forbidden stand in these messages, and nothing else.
_NAMES_ONLY: Final = frozenset(
    {"3F000", "42501", "42701", "42703", "42704", "42710", "42883", "42P01", "42P07"}
)
_WORDS: Final = {"25006": "the server is read-only"}
_WORD: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def wording(error: psycopg2.Error) -> str:
    """Return the kind of *error*, its SQLSTATE and the object it concerns, without any value.

    libpq's own words, which come without a SQLSTATE, are about the connection alone.
    """
    sqlstate = error.pgcode
    if sqlstate is None:
        # libpq repeats a message for each address, with and without TLS.
        lines = dict.fromkeys(line.strip() for line in str(error).splitlines())
        return explained(" ".join(" ".join(lines).split()) or type(error).__name__)
    diag = error.diag
    words = _WORDS.get(sqlstate) or _kind(sqlstate)
    # A trigger may raise any SQLSTATE with any text, but nothing that is FATAL; and it leaves its
    # place in the context.
    is_fatal = (diag.severity_nonlocalized or diag.severity) == "FATAL"
    if diag.message_primary and (is_fatal or (sqlstate in _NAMES_ONLY and not diag.context)):
        words = " ".join(diag.message_primary.split())
    return f"{words} (SQLSTATE {sqlstate}){_about(diag)}"


def _kind(sqlstate: str) -> str:
    """Return the name of a SQLSTATE in words, as "check violation"."""
    try:
        name = psycopg2.errors.lookup(sqlstate).__name__
    except KeyError:
        return "error"
    return _WORD.sub(" ", name).lower()


def _about(diag: psycopg2.extensions.Diagnostics) -> str:
    """Return which constraint, or where there is none, which column or table."""
    if diag.constraint_name:
        return f": constraint {diag.constraint_name}"
    if diag.column_name and diag.table_name:
        return f": column {diag.table_name}.{diag.column_name}"
    return f": table {diag.table_name}" if diag.table_name else ""
