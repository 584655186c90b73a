"""Limits that the role has on PostgreSQL 17, which knows one more than older servers."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from orderd.db.connection import Database
from tests.support.versions import NotHere, installation_of
from tools.postgresql import PrivatePostgres
from tools.waiting import wait_until

SUITE = "trixie"
LIMITS = ("idle_session_timeout", "transaction_timeout")
# Longer than a new session takes to set its own limits, on a slow machine too.
LIMIT_S = 2


@pytest.fixture
def newer(tmp_path: Path) -> Iterator[PrivatePostgres]:
    """A PostgreSQL 17 of this test."""
    try:
        installation = installation_of(SUITE)
    except NotHere as reason:
        pytest.skip(str(reason))
    server = PrivatePostgres(tmp_path / "postgresql", fsync=False, installation=installation)
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.mark.versions
def test_transaction_timeout_of_the_role_ends_no_transaction(newer: PrivatePostgres) -> None:
    for limit in LIMITS:
        newer.run(f"ALTER ROLE postgres SET {limit} = '{LIMIT_S}s'")

    with closing(Database(newer.admin_dsn)) as database, database.transaction() as tx:
        tx.run("CREATE TABLE seen AS SELECT name, setting FROM pg_settings")
        tx.flush()
        # Another session's transaction, begun later, has been ended by the limit.
        with closing(psycopg2.connect(newer.admin_dsn)) as other, other.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            ((pid,),) = cursor.fetchall()
            wait_until(lambda: not is_alive(newer, pid), timeout_s=60, what="its end")
        tx.run("INSERT INTO seen VALUES ('committed', 'yes')")

    with closing(psycopg2.connect(newer.admin_dsn)) as session, session.cursor() as cursor:
        cursor.execute("SELECT name, setting FROM seen")
        found = dict(cursor.fetchall())
    assert found["committed"] == "yes"
    assert {limit: found[limit] for limit in LIMITS} == dict.fromkeys(LIMITS, "0")


def is_alive(server: PrivatePostgres, pid: int) -> bool:
    with closing(psycopg2.connect(server.admin_dsn)) as session, session.cursor() as cursor:
        cursor.execute("SELECT FROM pg_stat_activity WHERE pid = %s", (pid,))
        return cursor.fetchone() is not None
