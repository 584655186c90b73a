"""What somebody else has locked: who needs it waits, at no attempt, and the holder is named."""

from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest

from tests.acceptance.shop import REPLIES, Shop, order, product, user
from tests.conftest import StartDaemon
from tools.waiting import wait_until

IDS = [f"order-{n}" for n in range(20)]
# More than there are delays.
TRIES = 5


@pytest.fixture
def frozen(database_url: str) -> Iterator[psycopg2.extensions.connection]:
    """Another daemon, stopped in the middle of a transaction."""
    with closing(psycopg2.connect(database_url, application_name="frozen")) as frozen:
        yield frozen


@pytest.fixture
def locking(admin_database_url: str) -> Iterator[psycopg2.extensions.connection]:
    """A session that may lock tables."""
    with closing(psycopg2.connect(admin_database_url)) as locking:
        yield locking


def test_a_row_that_a_frozen_daemon_holds_costs_its_neighbour_no_attempt(
    shop: Shop, daemon: StartDaemon, frozen: psycopg2.extensions.connection
) -> None:
    shop.open_with(stock=1_000, products=2)
    frozen.cursor().execute("SELECT FROM products WHERE id = 2 FOR UPDATE")
    orderd = daemon(retry_delays="100ms,200ms", log_level="debug")

    shop.send_all([order({1 + (n == 7): 1}, id=IDS[n]) for n in range(20)])
    shop.wait_for(*(one for one in IDS if one != IDS[7]))
    wait_until(
        lambda: len(orderd.events("command.postponed", id=IDS[7])) >= TRIES,
        timeout_s=60,
        what="a command that is tried again and again",
    )
    frozen.rollback()

    assert shop.wait_for(*IDS) == dict.fromkeys(IDS, "applied")
    (deferred,) = orderd.events("command.deferred")
    named = f"row 2 of table products is locked by pid {frozen.info.backend_pid} (frozen, "
    assert named in deferred["message"]
    waits = [deferred, *orderd.events("command.postponed")]
    assert {line["attempt"] for line in waits} == {0}
    assert shop.ready("order.dlq") == 0
    assert orderd.stop() == 0


def test_past_the_patience_the_dead_letter_names_the_holder(
    shop: Shop, daemon: StartDaemon, frozen: psycopg2.extensions.connection
) -> None:
    shop.open_with(stock=1_000)
    frozen.cursor().execute("SELECT FROM products WHERE id = 1 FOR UPDATE")
    orderd = daemon(retry_delays="100ms,200ms", lock_patience="1s")

    shop.send_all([order({1: 1}, id="order")])
    orderd.wait_for_event("message.dead_lettered", id="order", timeout_s=60)

    (letter,) = shop.take("order.dlq")
    assert letter.headers["orderd-code"] == "retries_exhausted"
    assert letter.headers["orderd-attempt"] == 0
    assert letter.headers["orderd-reason"].startswith("transient: waited ")
    named = f"row 1 of table products is locked by pid {frozen.info.backend_pid} (frozen, "
    assert named in letter.headers["orderd-reason"]
    # The reply follows the dead letter; a stop settles it.
    assert orderd.stop() == 0
    (reply,) = [one for one in shop.take_all(REPLIES) if one.json["status"] == "error"]
    assert reply.json["code"] == "retries_exhausted"
    assert shop.value("SELECT count(*) FROM deferrals") == 0


def test_a_ledger_that_is_locked_longer_than_all_delays_costs_nobody_an_attempt(
    shop: Shop, daemon: StartDaemon, locking: psycopg2.extensions.connection
) -> None:
    shop.open_with(stock=1_000)
    orderd = daemon(retry_delays="100ms,200ms", log_level="debug")
    # As VACUUM FULL takes it.
    locking.cursor().execute("LOCK TABLE processed_requests IN ACCESS EXCLUSIVE MODE")

    shop.send_all([user(f"new{n}", id=f"user-{n}") for n in range(10)])
    shop.send_all([order({1: 1}, id=one) for one in IDS])
    shop.send_all([product(id="product")])
    wait_until(lambda: len(orderd.events("database.connected")) > 3, timeout_s=120, what="tries")
    locking.rollback()

    wanted = [*(f"user-{n}" for n in range(10)), *IDS, "product"]
    done = shop.wait_for(*wanted, timeout_s=60)
    assert {done[one] for one in wanted} == {"applied"}
    assert orderd.events("command.deferred") == []
    assert orderd.events("command.postponed") == []
    assert {shop.ready(f"{queue}.dlq") for queue in ("user", "product", "order")} == {0}


def test_a_command_table_that_is_locked_longer_than_all_delays_holds_up_its_own_commands_alone(
    shop: Shop, daemon: StartDaemon, locking: psycopg2.extensions.connection
) -> None:
    shop.open_with(stock=1_000)
    orderd = daemon(retry_delays="100ms,200ms", log_level="debug")
    locking.cursor().execute("LOCK TABLE orders")

    shop.send_all([order({1: 1}, id=one) for one in IDS])
    wait_until(
        lambda: len(orderd.events("command.postponed", id=IDS[0])) >= TRIES,
        timeout_s=60,
        what="a command that is tried again and again",
    )
    shop.send_all([product(id="product"), user("new", id="user")])
    others = shop.wait_for("product", "user")
    locking.rollback()

    assert others == {"product": "applied", "user": "applied"}
    assert set(shop.wait_for(*IDS, timeout_s=60)) >= set(IDS)
    assert {line["attempt"] for line in orderd.events("command.postponed")} == {0}
    assert shop.ready("order.dlq") == 0
