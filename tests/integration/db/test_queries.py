"""Every named query is one that PostgreSQL understands, on the tables of the migrations."""

import re
from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - a class with a small name

from orderd.db.queries import load_queries
from tools.servers import Servers

QUERIES = load_queries()
_PARAMETER = re.compile(r"%\((\w+)\)s")
# PREPARE takes no statement that defines something.
DEFINITIONS = {
    "create_schema_migrations",
    *(f"validate_{table}" for table in ("users", "products", "orders", "order_items")),
}


@pytest.fixture(scope="module")
def cursor(servers: Servers, template_database: str) -> Iterator[Cursor]:
    name = f"{template_database}_queries"
    url = servers.postgres.create_database(name, template=template_database)
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            yield cursor
    servers.postgres.drop_database(name)


def numbered(sql: str) -> str:
    """Return *sql* with $1, $2, … instead of named parameters."""
    names = list(dict.fromkeys(_PARAMETER.findall(sql)))
    text = _PARAMETER.sub(lambda match: f"${names.index(match[1]) + 1}", sql)
    return text.replace("%%", "%")


@pytest.mark.parametrize("name", sorted(QUERIES.keys() - DEFINITIONS))
def test_the_query_can_be_prepared(cursor: Cursor, name: str) -> None:
    cursor.execute(f"PREPARE {name} AS {numbered(QUERIES[name])}")
    cursor.execute(f"DEALLOCATE {name}")


@pytest.mark.parametrize("name", sorted(DEFINITIONS))
def test_the_definition_can_be_executed_again(cursor: Cursor, name: str) -> None:
    cursor.execute(QUERIES[name])
