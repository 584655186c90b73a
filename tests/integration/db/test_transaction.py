"""Transactions on a real server: all or nothing, and what each of its errors means."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - a class with a small name

from orderd.db.connection import Database
from orderd.db.faults import (
    DatabaseOutage,
    IdsTaken,
    LockedOut,
    RowFault,
    SchemaFault,
    TransactionConflict,
)
from tests.support.sessions import ask, autocommitting
from tests.support.tcp_proxy import TcpProxy
from tools.waiting import wait_until

ADD_USER = "INSERT INTO users (username, email) VALUES ('ann', 'a@x.org')"
ADD_PRODUCTS = "INSERT INTO products (name, price, stock_quantity) VALUES ('a', 1, 1), ('b', 1, 1)"

PG_17 = 170_000
OURS = (
    "SELECT pid FROM pg_stat_activity"
    " WHERE datname = current_database() AND application_name = 'orderd'"
)
ALIVE = "SELECT FROM pg_stat_activity WHERE pid = %s"


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with closing(Database(database_url)) as database:
        yield database


@pytest.fixture
def session(database_url: str) -> Iterator[Connection]:
    """Somebody else, who commits each statement."""
    with autocommitting(database_url) as session:
        yield session


def run(database: Database, statement: str) -> None:
    with database.transaction() as tx:
        tx.run(statement)


def count_users(session: Connection) -> int:
    return int(ask(session, "SELECT count(*) FROM users")[0][0])


def cut(session: Connection) -> None:
    """Cut the connection of the database under test."""
    ask(
        session,
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'orderd'",
    )


def test_the_end_of_the_block_commits(database: Database, session: Connection) -> None:
    with database.transaction() as tx:
        tx.run(ADD_USER)
        assert tx.row("count_users", rows_max=9) == (1,)
        assert count_users(session) == 0

    assert count_users(session) == 1


def test_a_statement_tells_how_many_rows_it_has_written(database: Database) -> None:
    ids = ("11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222")
    with database.transaction() as tx:
        for number, message_id in enumerate(ids, 1):
            tx.later(
                "insert_outbox",
                id=f"{{{number}}}",
                message_id=f"{{{message_id}}}",
                type="order.created",
                body="{}",
            )
        sent = {"ids": "{1,2,3}", "message_ids": f"{{{','.join((*ids, ids[0]))}}}"}

        assert tx.count("delete_outbox", **sent) == len(ids)
        assert tx.count("delete_outbox", **sent) == 0


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_exception_in_the_block_rolls_back_and_passes_on(
    database: Database, session: Connection, error: type[BaseException]
) -> None:
    def add_and_fail() -> None:
        with database.transaction() as tx:
            tx.run(ADD_USER)
            tx.row("count_users", rows_max=9)
            raise error("something else")

    with pytest.raises(error, match="something else"):
        add_and_fail()

    assert count_users(session) == 0
    assert ask(session, "SELECT pid FROM pg_stat_activity WHERE state LIKE 'idle in%'") == []
    run(database, ADD_USER)
    assert count_users(session) == 1


def test_statements_of_a_failed_block_do_not_travel_with_the_next(
    database: Database, session: Connection
) -> None:
    def never_sent() -> None:
        with database.transaction() as tx:
            tx.run(ADD_USER)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        never_sent()
    run(database, "SELECT 1")

    assert count_users(session) == 0


def test_a_lost_connection_is_an_outage_and_the_next_transaction_has_a_new_one(
    database: Database, session: Connection
) -> None:
    run(database, "SELECT 1")
    cut(session)

    with pytest.raises(DatabaseOutage):
        run(database, ADD_USER)

    assert not database.is_connected
    run(database, ADD_USER)
    assert count_users(session) == 1


def test_a_connection_lost_in_the_block_rolls_back(database: Database, session: Connection) -> None:
    def add_and_lose() -> None:
        with database.transaction() as tx:
            tx.run(ADD_USER)
            tx.row("count_users", rows_max=9)
            cut(session)

    with pytest.raises(DatabaseOutage):
        add_and_lose()

    assert count_users(session) == 0


def test_the_session_that_a_lost_connection_leaves_behind_is_ended_with_the_next_one(
    database_url: str, session: Connection
) -> None:
    ask(session, "INSERT INTO products (name, price, stock_quantity) VALUES ('lamp', 1, 1)")

    def leave(_waited_s: float) -> None:
        raise DatabaseOutage("no answer")

    with TcpProxy(database_url) as proxy, closing(Database(proxy.url, on_slice=leave)) as database:
        proxy.open()
        with pytest.raises(DatabaseOutage):
            lock_and_be_cut_off(database, proxy)
        assert locked(session)
        database.connect()

        wait_until(lambda: not locked(session), timeout_s=10, what="the row to be free")
        with database.transaction() as tx:
            assert len(tx.rows("lock_products", ids="{1}")) == 1


def lock_and_be_cut_off(database: Database, proxy: TcpProxy) -> None:
    with database.transaction() as tx:
        tx.rows("lock_products", ids="{1}")
        # From now on the server hears nothing more, not even that the connection is closed.
        proxy.forget()


def locked(session: Connection) -> bool:
    return ask(session, "SELECT id FROM products FOR UPDATE SKIP LOCKED") == []


def test_an_exception_after_the_connection_was_lost_drops_it(
    database: Database, session: Connection
) -> None:
    def lose_and_fail() -> None:
        with database.transaction() as tx:
            tx.row("count_users", rows_max=9)
            cut(session)
            raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        lose_and_fail()

    run(database, ADD_USER)
    assert count_users(session) == 1


def test_a_server_that_is_not_there_is_an_outage() -> None:
    with pytest.raises(DatabaseOutage):
        Database("postgresql://nobody:secret@127.0.0.1:1/none").connect()


def test_a_read_only_database_is_an_outage_whose_connection_is_dropped(
    database: Database, session: Connection
) -> None:
    run(database, "SET default_transaction_read_only = on")

    with pytest.raises(DatabaseOutage, match="25006"):
        run(database, ADD_USER)

    assert not database.is_connected
    run(database, ADD_USER)
    assert count_users(session) == 1


def test_a_server_that_is_read_only_is_not_connected_to(
    database: Database, session: Connection
) -> None:
    (name,) = ask(session, "SELECT current_database()")[0]
    ask(session, f"ALTER DATABASE {name} SET default_transaction_read_only = on")

    with pytest.raises(DatabaseOutage):
        database.connect()


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("INSERT INTO users (username, email) VALUES ('c', 'a@x.org')", TransactionConflict),
        ("SET LOCAL statement_timeout = '20ms'; SELECT pg_sleep(9)", LockedOut),
        ("UPDATE products SET stock_quantity = -1", RowFault),
        ("UPDATE products SET price = 10000000000", RowFault),
        ("INSERT INTO orders (user_id, status, total_amount) VALUES (9, 'pending', 0)", RowFault),
        ("SELECT FROM elsewhere", SchemaFault),
        ("SET LOCAL ROLE pg_monitor; SELECT FROM users", SchemaFault),
    ],
)
def test_what_an_error_of_the_server_means(
    database: Database, session: Connection, statement: str, fault: type[Exception]
) -> None:
    run(database, f"{ADD_USER}; {ADD_PRODUCTS}")

    with pytest.raises(fault) as caught:
        run(database, f"UPDATE users SET full_name = 'x'; {statement}")  # noqa: S608

    assert isinstance(caught.value.__cause__, psycopg2.Error)
    assert ask(session, "SELECT full_name FROM users") == [(None,)]
    run(database, "SELECT 1")


ROWS_WITH_IDS = {
    "users": "(id, username, email) VALUES (1, 'zoe', 'z@x.org')",
    "products": "(id, name, price, stock_quantity) VALUES (1, 'c', 1, 1)",
    "orders": "(id, user_id, status, total_amount) VALUES (1, 1, 'pending', 0)",
    "order_items": "(id, order_id, product_id, quantity, unit_price) VALUES (1, 1, 1, 1, 1)",
    "outbox": "(id, message_id, type, body) VALUES (1, gen_random_uuid(), 'user.created', '')",
}


@pytest.mark.parametrize("table", ROWS_WITH_IDS)
def test_an_id_that_another_row_has_is_a_conflict_that_names_the_table(
    database: Database, table: str
) -> None:
    for name, row in ROWS_WITH_IDS.items():
        run(database, f"INSERT INTO {name} {row}")

    with pytest.raises(IdsTaken) as caught:
        run(database, f"INSERT INTO {table} {ROWS_WITH_IDS[table]}")

    assert caught.value.table == table


REQUEST = "('a', 'orders', 'create', 'applied', NULL, '{}', '')"


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("users", "(username, email) VALUES ('ann', 'b@x.org')"),
        ("users", "(username, email) VALUES ('bea', 'a@x.org')"),
        ("processed_requests", f"VALUES {REQUEST}, {REQUEST}"),
        ("message_tries", "VALUES ('a', 'orders', 1), ('a', 'orders', 1)"),
    ],
)
def test_other_keys_that_are_taken_are_no_taken_ids(
    database: Database, table: str, row: str
) -> None:
    run(database, ADD_USER)

    with pytest.raises(TransactionConflict) as caught:
        run(database, f"INSERT INTO {table} {row}")

    assert not isinstance(caught.value, IdsTaken)


def test_a_lock_held_by_somebody_else_is_a_conflict(
    database: Database, session: Connection
) -> None:
    run(database, ADD_USER)
    ask(session, "BEGIN; SELECT FROM users FOR UPDATE")

    with pytest.raises(LockedOut, match="55P03"):
        run(database, "SET LOCAL lock_timeout = '20ms'; DELETE FROM users")


def test_whoever_loses_a_deadlock_meets_a_conflict(database: Database, session: Connection) -> None:
    run(database, ADD_PRODUCTS)
    run(database, "SET deadlock_timeout = '300ms'")
    lock: Callable[[int], str] = "SELECT FROM products WHERE id = {} FOR UPDATE".format
    ask(session, "SET deadlock_timeout = '20s'")
    ask(session, f"BEGIN; {lock(2)}")
    waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"

    with ThreadPoolExecutor(1) as threads:
        loser = threads.submit(run, database, f"{lock(1)}; {lock(2)}")
        wait_until(lambda: ask(session, waiting), timeout_s=5, what="a lock", poll_s=0.005)
        ask(session, lock(1))
        with pytest.raises(TransactionConflict, match="40P01"):
            loser.result()


def test_the_session_has_its_limits(database: Database, session: Connection) -> None:
    wanted = {
        "TimeZone": "UTC",
        "lock_timeout": "3000",
        "statement_timeout": "10000",
        "idle_in_transaction_session_timeout": "40000",
    }

    run(database, "CREATE TABLE seen AS SELECT name, setting FROM pg_settings")
    found = dict(ask(session, "SELECT name, setting FROM seen"))

    assert {name: found[name] for name in wanted} == wanted


def test_limits_of_the_role_do_not_end_the_session(database_url: str, session: Connection) -> None:
    ((version,),) = ask(session, "SELECT current_setting('server_version_num')::integer")
    limits = ["idle_session_timeout", *(["transaction_timeout"] if version >= PG_17 else [])]
    ((name,),) = ask(session, "SELECT current_database()")
    for limit in limits:
        ask(session, f"ALTER DATABASE {name} SET {limit} = '1s'")

    with closing(Database(database_url)) as limited:
        run(limited, "CREATE TABLE seen AS SELECT name, setting FROM pg_settings")
        ((idle,),) = ask(session, OURS)
        # Longer than the limit, which the server obeys for any other session.
        with closing(psycopg2.connect(database_url)) as other:
            wait_until(
                lambda: not ask(session, ALIVE, other.info.backend_pid),
                timeout_s=10,
                what="its end",
            )
        run(limited, "SELECT 1")

        assert ask(session, OURS) == [(idle,)]
        found = dict(ask(session, "SELECT name, setting FROM seen"))
        assert {found[limit] for limit in limits} == {"0"}
