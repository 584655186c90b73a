"""Texts go to the database and come back as they are, or it is said why they cannot."""

from collections.abc import Iterator
from contextlib import closing
from itertools import count
from typing import Any

import psycopg2
import pytest

from orderd.db.connection import Database
from orderd.db.faults import SchemaFault
from orderd.db.migrations import migrate
from tests.conftest import RUN_NAME
from tools.servers import Servers

TEXT = "žluťoučký кінь 🐎"
SERIAL = count(1)
ADD_USER = "INSERT INTO users (username, email, full_name) VALUES ('ann', 'a@x.org', 'NAME')"


def ask(dsn: str, *statements: str) -> list[tuple[Any, ...]]:
    with closing(psycopg2.connect(dsn, client_encoding="UTF8")) as session:
        session.autocommit = True
        with session.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []


def name_of(url: str) -> str:
    return url.rpartition("/")[2]


@pytest.fixture(params=["database", "role", "environment", "connection string"])
def url_with_another_encoding(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, database_url: str
) -> str:
    """A database whose clients speak LATIN1 unless they say otherwise."""
    name = name_of(database_url)
    match request.param:
        case "database":
            ask(database_url, f"ALTER DATABASE {name} SET client_encoding = 'LATIN1'")
        case "role":
            ask(
                database_url,
                f"ALTER ROLE CURRENT_USER IN DATABASE {name} SET client_encoding = 'LATIN1'",
            )
        case "environment":
            monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
        case "connection string":
            database_url = f"{database_url}?client_encoding=LATIN1"
    return database_url


def test_another_client_encoding_changes_no_text(
    url_with_another_encoding: str, database_url: str
) -> None:
    with closing(Database(url_with_another_encoding)) as database:
        with database.transaction() as tx:
            tx.run(ADD_USER.replace("NAME", TEXT))
        with database.transaction() as tx:
            ((_, *fields),) = tx.rows("lock_users", ids="{1}")

    assert ask(database_url, "SELECT full_name FROM users") == [(TEXT,)]
    assert TEXT in fields


@pytest.fixture(params=["LATIN1", "SQL_ASCII"])
def url_of_another_encoding(request: pytest.FixtureRequest, servers: Servers) -> Iterator[str]:
    """A database that cannot hold every text."""
    name = f"{RUN_NAME}_encoding_{next(SERIAL)}"
    yield servers.postgres.create_database(name, encoding=request.param)
    servers.postgres.drop_database(name)


def test_a_database_that_cannot_hold_every_text_is_refused(url_of_another_encoding: str) -> None:
    with closing(Database(url_of_another_encoding)) as database:
        with pytest.raises(SchemaFault, match=r"encoding (LATIN1|SQL_ASCII).*UTF8.*template0"):
            migrate(database)

        assert not database.is_connected
    assert ask(url_of_another_encoding, "SELECT to_regclass('schema_migrations')") == [(None,)]
    others = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'orderd'"
    assert ask(url_of_another_encoding, f"{others} AND datname = current_database()") == [(0,)]
