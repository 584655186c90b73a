"""A daemon stands still while both servers give it up, and goes on when its work is done."""

import signal
from contextlib import closing

import psycopg2

from tests.acceptance.shop import HEARD, Shop, order
from tests.conftest import StartDaemon
from tools.rabbitmq import PrivateRabbit
from tools.waiting import wait_until

RETRY_DELAYS = "500ms,1s,2s,4s"
IDS = [f"order-{number}" for number in range(20)]
WAITING = (
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE datname = current_database() AND wait_event_type = 'Lock'"
)
# What the server does by itself to a transaction that has been idle for 40 s.
HANG_UP = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND application_name LIKE 'orderd%%' "
    "AND state = 'idle in transaction'"
)


def test_a_frozen_daemon_neither_commits_nor_acks_what_another_one_has_done(
    shop: Shop,
    admin_database_url: str,
    vhost: str,
    private_rabbit: PrivateRabbit,
    daemon: StartDaemon,
) -> None:
    shop.open_with(stock=100)
    frozen = daemon(outbox_grace=0.3, retry_delays=RETRY_DELAYS)
    with closing(psycopg2.connect(admin_database_url)) as holder:
        holder.cursor().execute("SELECT FROM products FOR UPDATE")
        shop.send_all([order({1: 1}, id=request_id) for request_id in IDS])
        wait_until(lambda: shop.value(WAITING), timeout_s=20, what="orderd at the lock")
        frozen.send(signal.SIGSTOP)
    # It has its locks now, and does not know.
    wait_until(lambda: shop.query(HANG_UP), timeout_s=10, what="a transaction to be given up")
    private_rabbit.ctl("close_all_connections", "--vhost", vhost, "no heartbeat")
    other = daemon(outbox_grace=0.3, retry_delays=RETRY_DELAYS)
    with closing(Shop(private_rabbit.url(vhost), admin_database_url)) as again:
        assert again.wait_for(*IDS) == dict.fromkeys(IDS, "applied")
        again.wait_for_rows(0, "outbox")
        mark = frozen.mark()
        frozen.send(signal.SIGCONT)
        frozen.wait_for_event("intake.resumed", after=mark)

        assert again.value("SELECT count(*) FROM orders") == len(IDS)
        assert again.stock_mismatches() == []
        assert [frozen.stop(), other.stop()] == [0, 0]
        assert again.waiting() == 0
        created = [one for one in again.take_all(HEARD) if one.routing_key == "order.created"]
        assert len({one.properties.message_id for one in created}) == len(IDS)
        assert again.ready("order.dlq") == 0
