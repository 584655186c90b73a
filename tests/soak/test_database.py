"""PostgreSQL dies, stays away, takes no writes any more, or another one takes its place."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from orderd.db.connection import Database
from orderd.db.migrations import migrate
from tests.soak.chaos_run import ChaosRun, times
from tools.postgresql import PrivatePostgres
from tools.servers import Servers

pytestmark = pytest.mark.soak

KILLS = 10
LAZY = (
    "ALTER SYSTEM SET synchronous_commit = off",
    # What nobody waits for is written seldom.
    "ALTER SYSTEM SET wal_writer_delay = '10s'",
    "ALTER ROLE postgres SET synchronous_commit = off",
)
NOT_LAZY = (
    "ALTER SYSTEM RESET synchronous_commit",
    "ALTER SYSTEM RESET wal_writer_delay",
    "ALTER ROLE postgres RESET synchronous_commit",
)
READ_ONLY = "ALTER SYSTEM SET default_transaction_read_only = on"
READ_WRITE = "ALTER SYSTEM RESET default_transaction_read_only"
SYNCHRONOUS = (
    "ALTER SYSTEM SET synchronous_commit = remote_apply",
    "ALTER SYSTEM SET synchronous_standby_names = '*'",
)
RELOAD = "SELECT pg_reload_conf()"
# Longer than `give_back_after`, so that messages go back to the broker on the way.
AWAY_S = 60.0


def test_immediate_restarts_of_the_database_cost_nothing(
    chaos: ChaosRun, private_postgres: PrivatePostgres
) -> None:
    chaos.begin("PostgreSQL restarted, immediate", daemons=2)

    for _ in range(times(4)):
        chaos.wait_for_work()
        private_postgres.restart("immediate")
        chaos.recover()

    chaos.finish()


def test_kills_of_a_server_that_commits_lazily_cost_nothing(
    chaos: ChaosRun, private_postgres: PrivatePostgres
) -> None:
    private_postgres.run(*LAZY, RELOAD)
    try:
        chaos.begin("postmaster kill -9, synchronous_commit off", daemons=2)
        # The rows that the shop was opened with were not orderd's to make sure of.
        private_postgres.run("CHECKPOINT")
        for _ in range(times(KILLS)):
            chaos.wait_for_work()
            private_postgres.restart("kill")
            chaos.recover()
    finally:
        private_postgres.run(*NOT_LAZY, RELOAD)

    chaos.finish()


def test_a_database_that_is_away_for_a_minute_costs_nothing(
    chaos: ChaosRun, private_postgres: PrivatePostgres
) -> None:
    chaos.begin("PostgreSQL stopped for a minute", daemons=2, rate=50)
    private_postgres.stop()
    try:
        for one in chaos.daemons:
            one.wait_for_event("message.requeued", timeout_s=AWAY_S)
        stopped = chaos.daemons[0]
        assert stopped.stop() == 0
        chaos.hire(ready=False)
        time.sleep(AWAY_S / 2)
    finally:
        private_postgres.start()
    chaos.recover()

    chaos.finish()


def test_a_database_that_is_read_only_for_a_while_costs_nothing(
    chaos: ChaosRun, private_postgres: PrivatePostgres
) -> None:
    chaos.begin("PostgreSQL read-only", daemons=2)

    for _ in range(times(3)):
        chaos.wait_for_work()
        marks = [(one, one.mark()) for one in chaos.daemons]
        private_postgres.run(READ_ONLY, RELOAD)
        try:
            for one, mark in marks:
                lost = one.wait_for_event("database.disconnected", after=mark)
                assert "read-only" in lost["message"]
        finally:
            private_postgres.run(READ_WRITE, RELOAD)
        chaos.recover()

    chaos.finish()


@pytest.fixture
def pair(servers: Servers) -> Iterator[list[PrivatePostgres]]:
    """A primary and the standby that must have each commit before it counts."""
    scratch = servers.scratch / "pair"
    scratch.mkdir()
    scratch.chmod(0o711)
    primary = PrivatePostgres(scratch / "primary", fsync=False)
    pair = [primary]
    try:
        primary.start()
        primary.create_database("orderd")
        with closing(Database(primary.url("orderd"))) as database:
            migrate(database)
        pair.append(primary.add_standby(scratch / "standby"))
        primary.run(*SYNCHRONOUS, RELOAD)
        yield pair
    finally:
        for one in pair:
            one.close()


def test_a_failover_to_a_standby_costs_nothing(
    open_chaos_run: Callable[[str], ChaosRun], pair: list[PrivatePostgres]
) -> None:
    primary, standby = pair
    hosts = f"127.0.0.1:{primary.port},127.0.0.1:{standby.port}"
    chaos = open_chaos_run(f"postgresql://postgres@{hosts}/orderd")
    chaos.begin("PostgreSQL failed over to a standby", daemons=2)
    chaos.wait_for_work(300)

    primary.stop("immediate")
    # The standby is there, and takes no writes yet.
    for one in chaos.daemons:
        one.wait_for_event("intake.paused")
    standby.promote()
    chaos.recover()

    chaos.wait_for_work(200)
    chaos.finish()
