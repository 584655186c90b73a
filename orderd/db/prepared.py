"""Statements that a session keeps prepared: PostgreSQL reads and plans each of them once.

For a command alone, PostgreSQL takes longer to plan the statements than to execute them. Each is
prepared where it is first needed, in the same round trip.
Source: https://www.postgresql.org/docs/current/sql-prepare.html
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, NamedTuple

from psycopg2.extensions import cursor as Cursor  # noqa: N812 - a class with a small name

_PARAMETER: Final = re.compile(r"%\((\w+)\)s")
_COMMENT: Final = re.compile(r"--.*$", re.MULTILINE)

Query = tuple[str, Mapping[str, object]]
"""The SQL of a named query, with `%(name)s` for its parameters, and these."""


class _Prepared(NamedTuple):
    """What a session knows a statement by, and its parameters' names, query by query."""

    name: str
    parameters: Sequence[Sequence[str]]


class PreparedStatements:
    """The prepared statements of one session, which *may_be* kept; all others never are.

    A session that a pooler shares keeps none: the next transaction may be in another one.
    """

    def __init__(self, may_be: Collection[str] = ()) -> None:
        """Begin with none."""
        self._may_be = frozenset(may_be)
        self._known: dict[tuple[str, ...], _Prepared] = {}

    def may_be(self, names: Collection[str]) -> bool:
        """Return whether all statements with these *names* may be kept."""
        return self._may_be.issuperset(names)

    def execution(
        self,
        cursor: Cursor,
        names: tuple[str, ...],
        queries: Sequence[Query],
        joined: Callable[[Sequence[str]], str],
    ) -> list[bytes]:
        """Return what executes *queries*, called *names*, as the one statement *joined* makes.

        Where the session does not know that statement yet, what prepares it comes before.
        """
        statements = []
        known = self._known.get(names)
        if known is None:
            texts, parameters = _numbered([sql for sql, _ in queries])
            name = names[0] if len(names) == 1 else f"together_{len(self._known)}"
            known = self._known[names] = _Prepared(name, parameters)
            statements.append(f"PREPARE {name} AS {joined(texts)}".encode())
        values = [
            given[parameter]
            for (_, given), own in zip(queries, known.parameters, strict=True)
            for parameter in own
        ]
        marks = f"({', '.join(['%s'] * len(values))})" if values else ""
        statements.append(cursor.mogrify(f"EXECUTE {known.name}{marks}", values))
        return statements

    def rolled_back(self) -> str:
        """Return what ends a transaction without effect, and drops all that is prepared.

        The last ones may not have been sent, or not come to; others may not fit their tables now.
        """
        self._known.clear()
        return "ROLLBACK; DEALLOCATE ALL" if self._may_be else "ROLLBACK"


def _numbered(queries: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Return *queries* with their parameters numbered through, and the names of these, by query."""
    texts: list[str] = []
    parameters: list[list[str]] = []
    first = 1
    for query in queries:
        bare = _COMMENT.sub("", query)
        own = list(dict.fromkeys(_PARAMETER.findall(bare)))
        for number, name in enumerate(own, first):
            bare = bare.replace(f"%({name})s", f"${number}")
        texts.append(bare)
        parameters.append(own)
        first += len(own)
    return texts, parameters
