"""An open transaction: named queries, sent at once or together with the next one."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import accumulate
from typing import Any, Final, NamedTuple

from psycopg2.extensions import cursor as Cursor  # noqa: N812 - a class with a small name

from orderd.db.prepared import PreparedStatements

# Rows of users or products, of 400 bytes each, that fit into the buffer of a Unix socket, which has
# some 200 kB by default.
PIECE_ROWS: Final = 500


class Part(NamedTuple):
    """One of several queries that are sent as one; *types* are those of its columns.

    It has *rows_max* rows at most.
    """

    name: str
    types: Sequence[str]
    parameters: Mapping[str, object]
    rows_max: int


class Transaction:
    """An open transaction; code that is given one never commits it.

    Statements whose rows are not needed can wait (`later`): they travel with the next query or
    with COMMIT, in one round trip.
    """

    def __init__(
        self,
        cursor: Cursor,
        queries: Mapping[str, str],
        opening: Iterable[str],
        prepared: PreparedStatements,
    ) -> None:
        """Use *cursor* for the named *queries*; those called *opening* travel with BEGIN."""
        self._cursor = cursor
        self._queries = queries
        self._prepared = prepared
        self._end = b"COMMIT"
        # COMMIT closes it, too.
        self._has_piece = False
        self._waiting: list[bytes] = [b"BEGIN ISOLATION LEVEL READ COMMITTED"]
        for name in opening:
            self.later(name)

    @property
    def waiting(self) -> int:
        """How many statements wait to travel."""
        return len(self._waiting)

    def rows(self, name: str, /, **parameters: object) -> list[tuple[Any, ...]]:
        """Return all rows of the query *name*."""
        self.later(name, **parameters)
        self._send()
        return self._cursor.fetchall()

    def count(self, name: str, /, **parameters: object) -> int:
        """Return how many rows the statement *name* has inserted, updated or deleted."""
        self.later(name, **parameters)
        self._send()
        return self._cursor.rowcount

    def pieces(
        self, name: str, /, *, rows_max: int = PIECE_ROWS, **parameters: object
    ) -> list[tuple[Any, ...]]:
        """Return all rows of the query *name*, of which *rows_max* at a time are sent.

        A server that can hand over all that it has to send is idle then, whatever becomes of who
        reads it; so its time-outs apply, and whose process stands still does not hold locks.
        """
        return self._fetched(self._named(name, parameters), rows_max)

    def together(self, parts: Sequence[Part]) -> list[list[tuple[Any, ...]]]:
        """Return the rows of each of *parts*, in pieces as `pieces` does: few rows in one of them.

        The queries are run one after the other, in their order, on what was committed when the
        first one began; of rows that they lock, the newest version is returned.
        """
        if len(parts) == 1:
            name, _, parameters, rows_max = parts[0]
            if rows_max <= PIECE_ROWS:
                return [self.rows(name, **parameters)]
            return [self._fetched(self._named(name, parameters), PIECE_ROWS)]
        ends = list(accumulate((len(part.types) for part in parts), initial=1))
        found: list[list[tuple[Any, ...]]] = [[] for _ in parts]
        for row in self._united(parts):
            number = row[0]
            found[number].append(row[ends[number] : ends[number + 1]])
        return found

    def row(self, name: str, /, **parameters: object) -> tuple[Any, ...]:
        """Return the one row of the query *name*."""
        (row,) = self.rows(name, **parameters)
        return row

    def union(self, queries: Mapping[str, Mapping[str, object]]) -> list[tuple[Any, ...]]:
        """Return all rows of these *queries*, each given with its parameters, as of one query."""
        named = (self._named(name, parameters) for name, parameters in queries.items())
        self._waiting.append(b"\nUNION ALL\n".join(named))
        self._send()
        return self._cursor.fetchall()

    def later(self, name: str, /, **parameters: object) -> None:
        """Let the statement *name* travel with the next one."""
        if self._prepared.may_be((name,)):
            given = [(self._queries[name], parameters)]
            self._waiting += self._prepared.execution(self._cursor, (name,), given, "".join)
        else:
            self._waiting.append(self._named(name, parameters))

    def run(self, sql: str) -> None:
        """Let *sql*, a migration's text, travel with the next statement."""
        self._waiting.append(sql.encode())

    def flush(self) -> None:
        """Send what waits, so that nothing but COMMIT is left."""
        if self._waiting:
            self._send()

    def roll_back(self) -> None:
        """Let the transaction end without effect."""
        self._waiting.clear()
        self._end = self._prepared.rolled_back().encode()

    def end(self) -> None:
        """Commit, or roll back after `roll_back`; only `Database.transaction` calls this."""
        self._waiting.append(self._end)
        self._send()

    def _united(self, parts: Sequence[Part]) -> list[tuple[Any, ...]]:
        """Return the rows of all *parts* in the form of `_union`."""
        names = tuple(part.name for part in parts)
        if sum(part.rows_max for part in parts) <= PIECE_ROWS and self._prepared.may_be(names):
            given = [(self._queries[part.name], part.parameters) for part in parts]
            joined = partial(_union, parts)
            self._waiting += self._prepared.execution(self._cursor, names, given, joined)
            self._send()
            return self._cursor.fetchall()
        queries = [self._named(part.name, part.parameters).decode() for part in parts]
        return self._fetched(_union(parts, queries).encode(), PIECE_ROWS)

    def _fetched(self, query: bytes, rows_max: int) -> list[tuple[Any, ...]]:
        if self._has_piece:
            self._waiting.append(b"CLOSE piece")
        self._has_piece = True
        self._waiting.append(b"DECLARE piece NO SCROLL CURSOR FOR " + query)
        rows: list[tuple[Any, ...]] = []
        is_more = True
        while is_more:
            self._waiting.append(f"FETCH FORWARD {rows_max} FROM piece".encode())
            self._send()
            piece = self._cursor.fetchall()
            rows += piece
            is_more = len(piece) == rows_max
        return rows

    def _named(self, name: str, parameters: Mapping[str, object]) -> bytes:
        sql = self._queries[name]
        return self._cursor.mogrify(sql, parameters) if parameters else sql.encode()

    def _send(self) -> None:
        statements, self._waiting = self._waiting, []
        self._cursor.execute(b";\n".join(statements))


def _union(parts: Sequence[Part], queries: Sequence[str]) -> str:
    """Return the *queries* of *parts* as one.

    Each row has the columns of all parts, null but for those of its own part. Its number is first.
    """
    nulls = ["".join(f", NULL::{each}" for each in part.types) for part in parts]
    selects = []
    for number, query in enumerate(queries):
        columns = [str(number), *nulls[:number], ", part.*", *nulls[number + 1 :]]
        selects.append("".join(("SELECT ", *columns, " FROM (\n", query, "\n) AS part")))
    return "\nUNION ALL\n".join(selects)
