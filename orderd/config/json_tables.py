"""JSON as settings have it in variables and credentials: no name stands in it twice."""

import json
from collections.abc import Sequence
from typing import Any


class DuplicateName(ValueError):
    """A table has a name twice, of which only one could count; the text says which."""


def json_table(text: str) -> Any:
    """Return what *text* says; raises ValueError, `DuplicateName` among them, or RecursionError."""
    return json.loads(text, object_pairs_hook=_table)


def _table(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise DuplicateName(f"has the name {twice!r} twice")
    return table
