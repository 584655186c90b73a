"""Waiting for an answer: in slices, with an end, and without harm to what comes after."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from orderd.db.connection import Database
from orderd.db.faults import DatabaseOutage
from tools.postgresql import PrivatePostgres

SLOW = "SELECT pg_sleep(2.5)"


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with closing(Database(database_url)) as database:
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


def test_a_long_answer_is_waited_for_in_slices(database: Database) -> None:
    waits_s: list[float] = []
    database.on_slice = waits_s.append

    rows = wait_for(database, SLOW)

    assert rows == [("",)]
    assert [round(wait_s) for wait_s in waits_s] == [1, 2]
    assert database.is_connected


def test_a_short_answer_is_not_waited_for_in_slices(database: Database) -> None:
    waits_s: list[float] = []
    database.on_slice = waits_s.append

    with database.transaction() as tx:
        tx.rows("lock_migrations")

    assert waits_s == []


def test_an_answer_that_never_comes_is_an_outage(
    database: Database, private_postgres: PrivatePostgres
) -> None:
    assert private_postgres.pid
    database.patience_s = 2
    with frozen(database):
        started_s = time.monotonic()
        with pytest.raises(DatabaseOutage, match="no answer in 2 s"), database.transaction() as tx:
            tx.rows("lock_migrations")

        # What is left of the transaction is not waited for on the same connection.
        assert time.monotonic() - started_s < 20
        assert not database.is_connected
    with database.transaction() as tx:
        assert tx.rows("lock_migrations") == [("",)]


def test_whoever_waits_may_leave(database: Database) -> None:
    class Enough(BaseException):
        pass

    def leave(_waited_s: float) -> None:
        raise Enough

    database.on_slice = leave
    started_s = time.monotonic()
    with pytest.raises(Enough):
        wait_for(database, "SELECT pg_sleep(60)")

    assert time.monotonic() - started_s < 30
    database.on_slice = lambda _: None
    with database.transaction() as tx:
        assert tx.rows("lock_migrations") == [("",)]


def test_a_host_that_is_not_there_leaves_it_to_the_next(
    database_url: str, private_postgres: PrivatePostgres
) -> None:
    between: list[float] = []
    name = database_url.rpartition("/")[2]
    port = private_postgres.port
    dsn = f"host=127.0.0.1,127.0.0.1 port=1,{port} user=postgres dbname={name}"
    with closing(Database(dsn)) as database:
        database.on_slice = between.append
        database.connect()

        assert database.is_connected
        assert between == [0.0]


def test_where_no_host_is_there_each_is_named() -> None:
    with closing(Database("host=127.0.0.1,127.0.0.2 port=1 dbname=none")) as database:
        with pytest.raises(DatabaseOutage) as outage:
            database.connect()

        assert "127.0.0.1" in str(outage.value)
        assert "127.0.0.2" in str(outage.value)
