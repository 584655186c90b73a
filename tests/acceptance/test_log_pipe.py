"""Nobody reads the log, or its reader is gone: work goes on."""

import os

from tests.acceptance.shop import Shop, order
from tests.support.unread import is_full, unread_daemon, unread_terminal_daemon

COUNT = 600
STOP_TIMEOUT_S = 40


def test_work_goes_on_while_nobody_reads_the_log_and_when_its_reader_is_gone(
    shop: Shop, database_url: str, vhost_url: str
) -> None:
    shop.open_with(stock=10_000)
    env = {
        "ORDERD_DATABASE_URL": database_url,
        "ORDERD_RABBITMQ_URL": vhost_url,
        "ORDERD_LOG_LEVEL": "debug",
    }
    with unread_daemon(env) as (orderd, reading):
        shop.send_all([order({1: 1}, id=f"full-{n}") for n in range(COUNT)])
        shop.wait_for_rows(COUNT, "processed_requests", timeout_s=60)
        # Lines were lost by now, and only lines.
        assert is_full(reading)
        os.close(reading)
        shop.send_all([order({1: 1}, id=f"closed-{n}") for n in range(COUNT)])
        shop.wait_for_rows(2 * COUNT, "processed_requests", timeout_s=60)
        orderd.terminate()

        assert orderd.wait(STOP_TIMEOUT_S) == 0
    assert shop.stock_mismatches() == []
    assert shop.waiting() == 0


def test_work_goes_on_while_nobody_reads_the_terminal(
    shop: Shop, database_url: str, vhost_url: str
) -> None:
    shop.open_with(stock=10_000)
    env = {
        "ORDERD_DATABASE_URL": database_url,
        "ORDERD_RABBITMQ_URL": vhost_url,
        "ORDERD_LOG_LEVEL": "debug",
    }
    with unread_terminal_daemon(env) as (orderd, reading):
        shop.send_all([order({1: 1}, id=f"unread-{n}") for n in range(COUNT)])
        shop.wait_for_rows(COUNT, "processed_requests", timeout_s=60)
        orderd.terminate()

        assert orderd.wait(STOP_TIMEOUT_S) == 0
        os.close(reading)
    assert shop.waiting() == 0
