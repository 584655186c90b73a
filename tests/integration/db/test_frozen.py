"""Who stands still while the server answers holds no locks for ever."""

from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest
from psycopg2.extensions import POLL_OK
from psycopg2.extensions import connection as Connection  # noqa: N812 - a class with a small name

from orderd.db.connection import Database
from orderd.pipeline.outbox.frozen_sessions import FrozenSessions
from tests.support.sessions import ask, autocommitting
from tests.support.tcp_proxy import ProxiedConnection, TcpProxy
from tools.waiting import wait_until

ADD = """
    INSERT INTO products (name, price, stock_quantity)
    SELECT 'product ' || i, 1, 1 FROM generate_series(1, 5000) AS i
"""
# Of a Unix socket, by default.
BUFFER_BYTES = 200_000
STATE = "SELECT state, wait_event FROM pg_stat_activity WHERE pid = %s"


@pytest.fixture
def session(database_url: str) -> Iterator[Connection]:
    """Somebody else, who commits each statement."""
    with autocommitting(database_url) as session:
        yield session


def standing_still(url: str, statement: str, name: str) -> Connection:
    """Return a connection whose answer nobody reads."""
    connection = psycopg2.connect(url, application_name=name, async_=True)
    wait_until(lambda: connection.poll() == POLL_OK, timeout_s=30, what="a connection")
    with connection.cursor() as cursor:
        cursor.execute(statement)
    assert connection.isexecuting()
    return connection


class Answers(TcpProxy):
    """Counts the bytes of the answer to each message of the client."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.answers: list[int] = []

    def tap_up(self, connection: ProxiedConnection, chunk: bytes) -> bytes:
        self.answers.append(0)
        return super().tap_up(connection, chunk)

    def tap_down(self, connection: ProxiedConnection, chunk: bytes) -> bytes:
        if self.answers:
            self.answers[-1] += len(chunk)
        return super().tap_down(connection, chunk)


@pytest.mark.parametrize(("name", "is_ended"), [("orderd", True), ("report", False)])
def test_a_session_whose_daemon_stands_still_in_an_answer_is_ended(
    database_url: str, session: Connection, name: str, *, is_ended: bool
) -> None:
    endless = "SELECT repeat('x', 1000) FROM generate_series(1, 1000000)"
    with (
        closing(standing_still(database_url, endless, name)) as frozen,
        closing(Database(database_url)) as database,
    ):
        pid = frozen.info.backend_pid
        stuck = [("active", "ClientWrite")]
        wait_until(lambda: ask(session, STATE, pid) == stuck, timeout_s=30, what="a full buffer")

        FrozenSessions(database).end(longest_s=0.0)

        if is_ended:
            wait_until(lambda: ask(session, STATE, pid) == [], timeout_s=30, what="its end")
        else:
            assert ask(session, STATE, pid) == stuck


def test_a_long_answer_comes_in_pieces_that_the_server_can_hand_over(
    database_url: str, session: Connection
) -> None:
    ask(session, ADD)
    ids = "{" + ",".join(str(i) for i in range(1, 5001)) + "}"
    with Answers(database_url) as proxy, closing(Database(proxy.url)) as database:
        proxy.open()
        with database.transaction() as tx:
            whole = tx.rows("lock_products", ids=ids)
            at_once_bytes = max(proxy.answers)
            proxy.answers.clear()
            rows = tx.pieces("lock_products", ids=ids)

    assert rows == whole
    assert at_once_bytes > BUFFER_BYTES > max(proxy.answers)


@pytest.mark.parametrize("count", [0, 1, 249, 250, 251, 500, 1000])
def test_pieces_are_all_rows_in_their_order(
    database_url: str, session: Connection, count: int
) -> None:
    ask(session, ADD)
    ids = "{" + ",".join(str(i) for i in range(1, count + 1)) + "}"

    with closing(Database(database_url)) as database, database.transaction() as tx:
        twice = [tx.pieces("read_products", ids=ids), tx.pieces("lock_products", ids=ids)]

    for rows in twice:
        assert sorted(row[0] for row in rows) == [*range(1, count + 1)]
