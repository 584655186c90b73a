"""pgbouncer before PostgreSQL, cut and restarted under load: nothing lost, nobody else harmed."""

import threading
from contextlib import closing
from typing import Self

import psycopg2
import pytest

from tests.acceptance.shop import Shop, order
from tests.conftest import StartDaemon
from tests.support.pgbouncer import pgbouncer_before
from tests.support.tcp_proxy import TcpProxy
from tools.servers import Servers
from tools.waiting import wait_until

COUNT = 600
CUTS = 5
SETTINGS = """
SELECT current_setting('statement_timeout'), current_setting('lock_timeout'),
    current_setting('idle_in_transaction_session_timeout'), current_setting('enable_seqscan')
"""
DEFAULTS = ("0", "0", "0", "on")


class Neighbour:
    """Another application of the same pool, whose transactions take their time."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self.seen: list[tuple[str, ...]] = []
        self.ended: list[str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._is_over.is_set():
            try:
                # It has the daemon's own name, as any application may.
                session = psycopg2.connect(self._dsn, application_name="orderd")
            except psycopg2.OperationalError:
                continue
            with closing(session):
                self._use(session)

    def _use(self, session: psycopg2.extensions.connection) -> None:
        session.autocommit = True
        try:
            with session.cursor() as cursor:
                while not self._is_over.is_set():
                    cursor.execute(f"BEGIN; {SETTINGS}")
                    self.seen.extend(cursor.fetchall())
                    cursor.execute("SELECT pg_sleep(0.02)")
                    cursor.execute("COMMIT")
        except psycopg2.Error as error:
            # That the pooler itself is cut, again and again, has no SQLSTATE.
            self.ended += [] if error.pgcode is None else [str(error)]


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_work_goes_on_through_a_pooler_that_is_cut_and_restarted(
    shop: Shop, servers: Servers, database_url: str, daemon: StartDaemon, mode: str
) -> None:
    shop.open_with(stock=10_000)
    shop.send_all([order({1: 1}, id=f"order-{n}") for n in range(COUNT)])
    with (
        pgbouncer_before(servers, database_url, mode, pool_size=2) as pooler,
        TcpProxy(pooler.url(database_url)) as proxy,
        Neighbour(pooler.url(database_url)) as neighbour,
    ):
        proxy.open()
        orderd = daemon(batch_max=10, database_url=proxy.url)
        mark = 0
        for cut in range(CUTS):
            orderd.wait_for_event("batch.committed", after=mark)
            mark = orderd.mark()
            pooler.restart() if cut % 2 else proxy.cut()
            orderd.wait_for_event("database.connected", after=mark)
        shop.wait_for_rows(COUNT, "processed_requests", timeout_s=60)
        wait_until(lambda: shop.waiting() == 0, timeout_s=20, what="empty queues")
        assert orderd.stop() == 0

    assert shop.value("SELECT count(*) FROM orders") == COUNT
    assert shop.stock_mismatches() == []
    assert orderd.events("command.deferred") == []
    assert orderd.events("message.dead_lettered") == []
    assert set(neighbour.seen) == {DEFAULTS}
    assert neighbour.ended == []
