"""Other programs lock, empty or change the tables: the daemon goes on, or goes on afterwards."""

from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest

from tests.acceptance.shop import REPLIES, Shop, order, product, user
from tests.conftest import StartDaemon
from tools.waiting import wait_until

QUICK = "200ms,500ms,1s,2s,4s,8s"


@pytest.fixture
def session(admin_database_url: str) -> Iterator[psycopg2.extensions.connection]:
    """Another program; psycopg2 begins a transaction with its first statement."""
    with closing(psycopg2.connect(admin_database_url, application_name="migration")) as session:
        yield session


def test_a_locked_table_holds_up_no_command_of_other_queues(
    shop: Shop, daemon: StartDaemon, session: psycopg2.extensions.connection
) -> None:
    shop.open_with(stock=1000)
    orderd = daemon(retry_delays=QUICK)
    session.cursor().execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")

    shop.send_all([order({1: 1}, id=f"order-{n}") for n in range(20)])
    locked = orderd.wait_for_event("table.locked")
    mark = orderd.mark()
    shop.send_all([order({1: 1}, id=f"more-{n}") for n in range(20)])
    shop.send_all([product(id="product"), user(id="user")])
    shop.wait_for("product", "user")
    refused = shop.call("order", "get", {"order_id": 1})
    held_up = orderd.events("batch.split", after=mark) + orderd.events("batch.retried", after=mark)
    outcomes = shop.outcomes()
    session.rollback()

    assert "table orders is locked by pid" in locked["message"]
    assert "(migration" in locked["message"]
    assert held_up == []
    assert set(outcomes) == {"product", "user"}
    assert (refused["status"], refused["code"]) == ("error", "unavailable")
    names = [f"{kind}-{n}" for kind in ("order", "more") for n in range(20)]
    done = shop.wait_for(*names, timeout_s=60)
    assert {done[name] for name in names} == {"applied"}
    deferred = orderd.events("command.deferred", id="order-0")
    assert "table orders is locked by pid" in deferred[0]["message"]
    assert shop.ready("order.dlq") == 0


def test_a_locked_ledger_pauses_everything_and_spends_no_attempt(
    shop: Shop, daemon: StartDaemon, session: psycopg2.extensions.connection
) -> None:
    shop.open_with(stock=1000)
    orderd = daemon(retry_delays=QUICK)
    session.cursor().execute("LOCK TABLE processed_requests IN SHARE MODE")

    shop.send_all([order({1: 1}, id=f"order-{n}") for n in range(20)])
    shop.send("user", "get", {"id": 1})
    paused = orderd.wait_for_event("database.disconnected")
    # It has found the lock again at least once after it connected anew.
    wait_until(
        lambda: len(orderd.events("database.connected")) > 2, timeout_s=30, what="another look"
    )
    session.rollback()

    assert "table processed_requests is locked by pid" in paused["message"]
    names = [f"order-{n}" for n in range(20)]
    done = shop.wait_for(*names, timeout_s=60)
    assert {done[name] for name in names} == {"applied"}
    assert orderd.events("command.deferred") == []
    assert {reply.json["status"] for reply in shop.take(REPLIES, 21)} == {"ok"}
    orderd.wait_for_event("intake.resumed")


@pytest.mark.parametrize(
    ("table", "column"), [("orders", "priority"), ("outbox", "claimed_at"), ("users", "email")]
)
def test_a_column_that_is_elsewhere_for_a_moment_needs_no_restart(
    shop: Shop, daemon: StartDaemon, table: str, column: str
) -> None:
    shop.open_with(stock=1000)
    orderd = daemon(retry_delays=QUICK, outbox_grace=0.5)
    shop.send_all([order({1: 1}, id="before")])
    shop.wait_for("before")

    shop.query(f"ALTER TABLE {table} RENAME COLUMN {column} TO elsewhere")
    shop.send_all([order({1: 1}, id="meanwhile"), user(id="user")])
    orderd.wait_for_event("intake.paused")
    shop.query(f"ALTER TABLE {table} RENAME COLUMN elsewhere TO {column}")

    assert shop.wait_for("meanwhile", "user") == dict.fromkeys(
        ("before", "meanwhile", "user"), "applied"
    )
    assert orderd.events("command.deferred") == []
    assert orderd.stop() == 0


def test_emptied_tables_with_ids_from_1_need_no_restart(shop: Shop, daemon: StartDaemon) -> None:
    shop.open_with(users=1, stock=10)
    daemon()
    # Refused, so that ids are left which were taken for it.
    shop.send_all([order({1: 1}, user_id=9, id="refused"), order({1: 1}, id="before")])
    shop.wait_for("refused", "before")

    shop.query("TRUNCATE users, products, orders, order_items, outbox RESTART IDENTITY CASCADE")
    shop.open_with(users=5, stock=10, products=5)
    shop.query(
        "INSERT INTO orders (user_id, status, total_amount) "
        "SELECT 1, 'cancelled', 0 FROM generate_series(1, 5)"
    )
    shop.send_all([order({1: 1}, id=f"order-{n}") for n in range(5)])
    shop.send_all([user("new", id="user"), product(id="product")])

    names = [f"order-{n}" for n in range(5)] + ["user", "product"]
    done = shop.wait_for(*names)
    assert {done[name] for name in names} == {"applied"}
    assert shop.value("SELECT count(*) FROM orders") == 10
