"""Columns of many rows as one parameter each, in the forms that cost both sides least.

Measured for 200 outbox rows against psycopg2's own adaptation of lists: a third of the time to
encode, two thirds of the time to insert.
"""

from collections.abc import Iterable
from decimal import Decimal


def array(values: Iterable[int | Decimal | str]) -> str:
    """Return numbers or UUIDs, which need no quoting, as a literal for ``%(…)s::bigint[]``."""
    return "{" + ",".join(map(str, values)) + "}"


def texts(values: Iterable[str | None]) -> str:
    """Return any texts, None for null, as a literal for ``%(…)s::text[]``."""
    return "{" + ",".join(map(_quoted, values)) + "}"


def lines(values: Iterable[str]) -> str:
    r"""Return texts that have no line ends, for ``string_to_array(%(…)s, E'\n')``.

    Compact JSON has none, and neither have names from a closed set. At least one value.
    """
    return "\n".join(values)


def _quoted(text: str | None) -> str:
    if text is None:
        return "NULL"
    if "\\" in text or '"' in text:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
