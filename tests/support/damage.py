"""Damage to the files of a PostgreSQL server."""

from contextlib import closing
from pathlib import Path

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812 - a class with a small name

from tools.postgresql import PrivatePostgres

HEADER = b"\xff" * 24


def first_on_page(url: str, table: str, page: int) -> int:
    """Return the least id of the rows on a page of *table*."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            f"SELECT min(id) FROM {table} "  # noqa: S608 - a table of the test's own
            "WHERE ctid >= %s::tid AND ctid < %s::tid",
            (f"({page},0)", f"({page + 1},0)"),
        )
        ((row_id,),) = cursor.fetchall()
    return int(row_id)


def data_file(connection: Connection, postgres: PrivatePostgres, table: str) -> Path:
    """Return the file that holds the rows of *table*."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_relation_filepath(%s)", (table,))
        ((path,),) = cursor.fetchall()
    return postgres.data_directory / str(path)


def damage(postgres: PrivatePostgres, url: str, table: str) -> None:
    """Spoil the header of the first page of *table*; the server is started anew."""
    with closing(psycopg2.connect(url)) as connection:
        path = data_file(connection, postgres, table)
    postgres.stop()
    with path.open("r+b") as file:
        file.write(HEADER)
    postgres.start()
