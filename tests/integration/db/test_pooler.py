"""Behind a pooler the session is also that of others: nothing of ours may stay on it."""

from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - a class with a small name

from orderd.db.connection import Database
from orderd.db.faults import DatabaseOutage, LockedOut
from orderd.db.migrations import check_schema, migrate
from tests.support.pgbouncer import PgBouncer, pgbouncer_before
from tests.support.tcp_proxy import ProxiedConnection, TcpProxy
from tools.servers import Servers

OURS = {
    "lock_timeout": "3s",
    "statement_timeout": "10s",
    "idle_in_transaction_session_timeout": "40s",
    "enable_seqscan": "off",
    "jit": "off",
    "TimeZone": "UTC",
    "client_encoding": "UTF8",
}
SHOWN = f"SELECT {', '.join(f'current_setting({name!r})' for name in OURS)}"


ADD_USER = "INSERT INTO users (username, email) VALUES ('ann', 'ann@x.org')"


@pytest.fixture(params=["transaction", "session"])
def pooler(
    request: pytest.FixtureRequest, servers: Servers, database_url: str
) -> Iterator[PgBouncer]:
    """A pooler with one session for all."""
    with pgbouncer_before(servers, database_url, request.param) as pooler:
        yield pooler


@pytest.fixture
def database(pooler: PgBouncer, database_url: str) -> Iterator[Database]:
    with closing(Database(pooler.url(database_url))) as database:
        yield database


def ask(dsn: str, *statements: str) -> list[tuple[Any, ...]]:
    """Return the rows of the last statement, each of which somebody else commits."""
    with closing(psycopg2.connect(dsn)) as session:
        return ask_on(session, *statements)


def ask_on(session: Connection, *statements: str) -> list[tuple[Any, ...]]:
    session.autocommit = True
    with session.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


def run(database: Database, statement: str) -> None:
    with database.transaction() as tx:
        tx.run(statement)


def test_each_transaction_has_its_limits_and_nobody_elses(
    pooler: PgBouncer, database: Database, database_url: str
) -> None:
    through_pool = pooler.url(database_url)
    before = ask(through_pool, SHOWN)

    run(database, f"CREATE TABLE seen AS {SHOWN.replace('SELECT', 'SELECT ARRAY[')}]")
    # In session mode, ours is given to others once we leave it.
    database.close()
    after = ask(through_pool, SHOWN)

    assert ask(database_url, "SELECT * FROM seen") == [(list(OURS.values()),)]
    assert after == before
    assert dict(zip(OURS, after[0], strict=True))["statement_timeout"] == "0"


@pytest.mark.parametrize("pooler", ["transaction"], indirect=True)
def test_a_session_that_is_shared_all_the_time_keeps_nothing_between_transactions(
    pooler: PgBouncer, database: Database, database_url: str
) -> None:
    with closing(psycopg2.connect(pooler.url(database_url))) as other:
        before = ask_on(other, SHOWN)
        run(database, "SELECT 1")
        between = ask_on(other, SHOWN)
        with suppress(ZeroDivisionError), database.transaction() as tx:
            tx.row("count_users", rows_max=9)
            raise ZeroDivisionError
        after = ask_on(other, SHOWN)

    assert before == between == after


class Overheard(TcpProxy):
    """Keeps what is sent to the server."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.sent: list[bytes] = []

    def tap_up(self, connection: ProxiedConnection, chunk: bytes) -> bytes:
        self.sent.append(chunk)
        return super().tap_up(connection, chunk)


@pytest.mark.parametrize("is_pooled", [True, False])
def test_limits_cost_no_round_trip(pooler: PgBouncer, database_url: str, is_pooled: bool) -> None:  # noqa: FBT001 - a parameter of the test
    url = pooler.url(database_url) if is_pooled else database_url
    with Overheard(url) as proxy, closing(Database(proxy.url)) as database:
        proxy.open()
        database.connect()
        proxy.sent.clear()

        run(database, "SELECT 1")

        (sent,) = proxy.sent
        assert (b"lock_timeout" in sent) is is_pooled


def test_a_wait_for_a_lock_is_bounded(database: Database, database_url: str) -> None:
    ask(database_url, ADD_USER)
    with closing(psycopg2.connect(database_url)) as holder:
        ask_on(holder, "BEGIN; SELECT FROM users FOR UPDATE")

        with pytest.raises(LockedOut, match="55P03"):
            run(database, "DELETE FROM users")


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_nobodys_transaction_is_ended_by_a_new_connection(
    servers: Servers, database_url: str, mode: str
) -> None:
    with (
        pgbouncer_before(servers, database_url, mode, pool_size=2) as pooler,
        TcpProxy(pooler.url(database_url)) as proxy,
        closing(Database(proxy.url)) as database,
        closing(psycopg2.connect(pooler.url(database_url), application_name="orderd")) as other,
    ):
        proxy.open()
        run(database, "CREATE TABLE was AS SELECT pg_backend_pid()")
        proxy.cut()
        with pytest.raises(DatabaseOutage):
            run(database, "SELECT 1")
        # The session that was ours is now in the other's transaction.
        ask_on(other, "BEGIN; CREATE TABLE kept (x int)")
        assert ask_on(other, "SELECT pg_backend_pid()") == ask(database_url, "TABLE was")

        database.connect()
        run(database, "SELECT 1")
        ask_on(other, "COMMIT")

    assert ask(database_url, "SELECT count(*) FROM kept") == [(0,)]


def test_a_pooler_that_is_cut_and_restarted_is_an_outage(
    pooler: PgBouncer, database: Database, database_url: str
) -> None:
    run(database, ADD_USER)
    pooler.kill()
    with pytest.raises(DatabaseOutage):
        run(database, "DELETE FROM users")

    pooler.start()
    run(database, ADD_USER.replace("ann", "bea"))

    assert ask(database_url, "SELECT count(*) FROM users") == [(2,)]


def test_migrations_take_their_time_through_a_pooler_too(
    pooler: PgBouncer, empty_database_url: str
) -> None:
    name = empty_database_url.rpartition("/")[2]
    ask(empty_database_url, f"ALTER DATABASE {name} SET statement_timeout = '20s'")
    with closing(Database(pooler.url(empty_database_url))) as database:
        with database.transaction() as tx:
            tx.later("take_time_to_migrate")
            tx.run("CREATE TABLE seen AS SELECT current_setting('statement_timeout') AS limit_")
        seen = ask(empty_database_url, "SELECT limit_ FROM seen")

        migrate(database)
        check_schema(database)

    assert seen == [("0",)]
    assert ask(pooler.url(empty_database_url), "SHOW statement_timeout") == [("20s",)]


@pytest.mark.parametrize("pooler", ["transaction"], indirect=True)
def test_texts_go_through_a_pooler_as_they_are(pooler: PgBouncer, database_url: str) -> None:
    name = database_url.rpartition("/")[2]
    ask(database_url, f"ALTER DATABASE {name} SET client_encoding = 'LATIN1'")
    texts = ["žluťoučký", "кінь", "🐎"]
    with (
        closing(Database(pooler.url(database_url))) as database,
        closing(psycopg2.connect(pooler.url(database_url))) as other,
    ):
        for text in texts:
            ask_on(other, "SELECT 1")
            run(database, ADD_USER.replace("ann", text))

    with closing(psycopg2.connect(database_url, client_encoding="UTF8")) as reader:
        assert ask_on(reader, "SELECT username FROM users") == [(text,) for text in texts]
