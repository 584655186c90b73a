"""Waiting for an answer: in slices, with an end, and without harm to what comes after."""

import os
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from orderd.db.connection import Database
from orderd.db.faults import DatabaseOutage
from tools.postgresql import PrivatePostgres

SLOW = "SELECT pg_sleep(2.5)"
PATIENCE_S = 2


@pytest.fixture
def waits_s() -> list[float]:
    """What `database` tells of its waits, in seconds."""
    return []


@pytest.fixture
def database(database_url: str, waits_s: list[float]) -> Iterator[Database]:
    with closing(Database(database_url, on_slice=waits_s.append)) as database:
        database.connect()
        yield database


@contextmanager
def frozen(database: Database) -> Iterator[None]:
    """Stop the server's end of the connection: it neither answers nor closes anything."""
    connection = database._connection  # noqa: SLF001 - nobody else knows its other end
    assert connection is not None
    pid = connection.get_backend_pid()
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def wait_for(database: Database, sql: str) -> list[tuple[Any, ...]]:
    with database.transaction() as tx:
        tx.run(sql)
        return tx.rows("lock_migrations")


def test_a_long_answer_is_waited_for_in_slices(database: Database, waits_s: list[float]) -> None:
    rows = wait_for(database, SLOW)

    assert rows == [("",)]
    assert [round(wait_s) for wait_s in waits_s] == [1, 2]
    assert database.is_connected


def test_a_short_answer_is_not_waited_for_in_slices(
    database: Database, waits_s: list[float]
) -> None:
    with database.transaction() as tx:
        tx.rows("lock_migrations")

    assert waits_s == []


class Enough(BaseException):
    pass


@pytest.mark.parametrize("leave", [DatabaseOutage("no answer in 2 s"), Enough()], ids=str)
def test_whoever_waits_for_an_answer_that_never_comes_may_leave(
    database_url: str, private_postgres: PrivatePostgres, leave: BaseException
) -> None:
    def on_slice(waited_s: float) -> None:
        if waited_s >= PATIENCE_S:
            raise leave

    assert private_postgres.pid
    with closing(Database(database_url, on_slice=on_slice)) as database:
        database.connect()
        with frozen(database):
            # What is left of the transaction is not awaited on the same connection.
            with pytest.raises(type(leave)), database.transaction() as tx:
                tx.rows("lock_migrations")
            assert not database.is_connected
        with database.transaction() as tx:
            assert tx.rows("lock_migrations") == [("",)]


def test_a_host_that_is_not_there_leaves_it_to_the_next(
    database_url: str, private_postgres: PrivatePostgres
) -> None:
    between: list[float] = []
    name = database_url.rpartition("/")[2]
    port = private_postgres.port
    dsn = f"host=127.0.0.1,127.0.0.1 port=1,{port} user=postgres dbname={name}"
    with closing(Database(dsn, on_slice=between.append)) as database:
        database.connect()

        assert database.is_connected
        assert between == [0.0]


def test_where_no_host_is_there_each_is_named() -> None:
    with closing(Database("host=127.0.0.1,127.0.0.2 port=1 dbname=none")) as database:
        with pytest.raises(DatabaseOutage) as outage:
            database.connect()

        assert "127.0.0.1" in str(outage.value)
        assert "127.0.0.2" in str(outage.value)
