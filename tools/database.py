"""A PostgreSQL server, whoever runs it: databases and their URLs."""

from contextlib import closing
from urllib.parse import urlsplit, urlunsplit

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import make_dsn

CONNECT_TIMEOUT_S = 5
FOREIGN_TABLES = """
    SELECT schemaname || '.' || tablename FROM pg_catalog.pg_tables
    WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1 LIMIT 1
"""


class PostgresServer:
    """A server, reached through a database on it that always exists."""

    def __init__(self, admin_dsn: str) -> None:
        self.admin_dsn = admin_dsn

    def url(self, database: str | None = None) -> str:
        """Return how to connect to a database; None: the one of the server's own URL."""
        if database is None:
            return self.admin_dsn
        if "://" in self.admin_dsn:
            return urlunsplit(urlsplit(self.admin_dsn)._replace(path=f"/{database}"))
        return make_dsn(self.admin_dsn, dbname=database)

    def create_database(
        self, name: str, template: str | None = None, *, encoding: str | None = None
    ) -> str:
        """Create a database, as a copy of `template` or in an encoding, and return its URL."""
        statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
        if encoding is not None:
            statement += sql.SQL(" ENCODING {} LOCALE 'C'").format(sql.Literal(encoding))
            template = "template0"
        if template is not None:
            statement += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
        self._execute(statement)
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, closing whatever is still connected to it."""
        self._execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def _execute(self, statement: sql.Composable) -> None:
        with closing(psycopg2.connect(self.admin_dsn)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)


def first_table(dsn: str) -> str | None:
    """Return the name of some table in the database, None when it has none at all."""
    with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        cursor.execute(FOREIGN_TABLES)
        row = cursor.fetchone()
        return None if row is None else str(row[0])


def is_ready(dsn: str) -> bool:
    """Return whether the server takes connections now."""
    try:
        psycopg2.connect(dsn, connect_timeout=CONNECT_TIMEOUT_S).close()
    except psycopg2.OperationalError:
        return False
    return True
