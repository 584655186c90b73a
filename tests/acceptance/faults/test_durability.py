"""Somebody has switched synchronous_commit off: what is acked outlives a crash all the same."""

from collections.abc import Iterator

import pytest

from tests.acceptance.shop import Shop, order
from tests.conftest import StartDaemon
from tools.postgresql import PrivatePostgres
from tools.waiting import wait_until

COUNT = 2_400
KILLS = 8
PLACES = {
    "server": "ALTER SYSTEM SET {}",
    "role": "ALTER ROLE postgres SET {}",
    "database": 'ALTER DATABASE "{name}" SET {}',
}
RESET = (
    "ALTER SYSTEM RESET synchronous_commit",
    "ALTER SYSTEM RESET wal_writer_delay",
    "ALTER ROLE postgres RESET synchronous_commit",
    "SELECT pg_reload_conf()",
)


@pytest.fixture
def lazy_postgres(private_postgres: PrivatePostgres) -> Iterator[PrivatePostgres]:
    """The server, which writes seldom what nobody waits for, and as before at the end."""
    private_postgres.run("ALTER SYSTEM SET wal_writer_delay = '10s'", "SELECT pg_reload_conf()")
    yield private_postgres
    private_postgres.run(*RESET)


@pytest.mark.parametrize("place", PLACES)
def test_nothing_acked_is_missing_after_kills_of_the_server(
    shop: Shop, lazy_postgres: PrivatePostgres, daemon: StartDaemon, place: str
) -> None:
    name = shop.value("SELECT current_database()")
    statement = PLACES[place].format("synchronous_commit = off", name=name)
    lazy_postgres.run(statement, "SELECT pg_reload_conf()")
    shop.open_with(stock=10_000)
    # Its rows must be there for certain.
    lazy_postgres.run("CHECKPOINT")
    shop.send_all([order({1: 1}, id=f"order-{n}") for n in range(COUNT)])
    orderd = daemon(batch_max=10)

    mark = 0
    for _ in range(KILLS):
        for _ in range(5):
            orderd.wait_for_event("batch.committed", after=mark)
            mark = orderd.mark()
        lazy_postgres.restart("immediate")
        orderd.wait_for_event("database.connected", after=mark)

    wait_until(lambda: shop.waiting() == 0, timeout_s=60, what="empty queues")
    assert orderd.stop() == 0
    assert shop.value("SELECT count(*) FROM processed_requests") == COUNT
    assert shop.value("SELECT count(*) FROM orders") == COUNT
    assert shop.stock_mismatches() == []


def test_a_server_without_fsync_is_named(shop: Shop, daemon: StartDaemon) -> None:
    switched_off = shop.query(
        "SELECT name FROM pg_settings "
        "WHERE name IN ('fsync', 'full_page_writes') AND setting = 'off' ORDER BY name"
    )

    orderd = daemon()

    named = [one["message"].partition(" off")[0] for one in orderd.events("durability.weakened")]
    assert named == [", ".join(name for (name,) in switched_off)]
