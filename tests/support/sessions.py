"""Somebody else's session on the database, who commits each statement."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812 - a class with a small name


@contextmanager
def autocommitting(database_url: str) -> Iterator[Connection]:
    """Give a session, closed at the end."""
    with closing(psycopg2.connect(database_url)) as session:
        session.autocommit = True
        yield session


def ask(session: Connection, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
    """Return the rows of a statement; none where it has no result."""
    with session.cursor() as cursor:
        cursor.execute(statement, parameters or None)
        return cursor.fetchall() if cursor.description else []
