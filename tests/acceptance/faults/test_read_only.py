"""PostgreSQL takes no writes for a while, as after a failover: nothing is charged for that."""

from collections.abc import Iterator

import pytest

from tests.acceptance.shop import HEARD, Shop, order
from tests.conftest import StartDaemon
from tools.postgresql import PrivatePostgres
from tools.waiting import wait_until

COUNT = 300
RELOAD = "SELECT pg_reload_conf()"


@pytest.fixture
def writable_again(private_postgres: PrivatePostgres) -> Iterator[PrivatePostgres]:
    """The server, which takes writes again at the end."""
    yield private_postgres
    make_writable(private_postgres)


def make_writable(postgres: PrivatePostgres) -> None:
    postgres.run("ALTER SYSTEM RESET default_transaction_read_only", RELOAD)


def test_a_database_that_is_read_only_pauses_the_intake_and_says_so(
    shop: Shop, writable_again: PrivatePostgres, daemon: StartDaemon
) -> None:
    shop.open_with(stock=1_000)
    orderd = daemon(batch_max=5)
    shop.send_all([order({1: 1}, id=f"order-{n}") for n in range(COUNT)])
    orderd.wait_for_event("batch.committed")

    writable_again.run("ALTER SYSTEM SET default_transaction_read_only = on", RELOAD)
    lost = orderd.wait_for_event("database.disconnected")
    orderd.wait_for_event("intake.paused")
    done = shop.value("SELECT count(*) FROM processed_requests")
    make_writable(writable_again)

    orderd.wait_for_event("intake.resumed")
    assert "read-only" in lost["message"]
    assert done < COUNT
    shop.wait_for_rows(COUNT, "processed_requests", timeout_s=60)
    wait_until(lambda: shop.waiting() == 0, timeout_s=10, what="empty queues")
    assert orderd.stop() == 0
    assert orderd.events("command.deferred") == []
    assert shop.stock_mismatches() == []
    told = [one for one in shop.take_all(HEARD) if one.routing_key.startswith("system.")]
    assert [one.routing_key.removeprefix("system.") for one in told] == [
        "started",
        "paused",
        "resumed",
        "stopping",
    ]
    assert told[1].json["data"]["waiting_for"] == "database"
    assert float(told[2].json["data"]["paused_seconds"]) > 0
