"""Nobody reads the log, or its reader is gone: work goes on."""

import os
import subprocess
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

import pytest

from tests.acceptance.shop import Shop, order
from tests.support.unread import is_full, unread_daemon, unread_terminal_daemon

COUNT = 600
STOP_TIMEOUT_S = 40

Unread = Callable[[Mapping[str, str]], AbstractContextManager[tuple[subprocess.Popen[bytes], int]]]


@pytest.fixture
def env(shop: Shop, database_url: str, vhost_url: str) -> Mapping[str, str]:
    shop.open_with(stock=10_000)
    return {
        "ORDERD_DATABASE_URL": database_url,
        "ORDERD_RABBITMQ_URL": vhost_url,
        "ORDERD_LOG_LEVEL": "debug",
    }


def work(shop: Shop, count: int, name: str) -> None:
    """Have *count* orders done."""
    done = shop.query("SELECT count(*) FROM processed_requests")[0][0]
    shop.send_all([order({1: 1}, id=f"{name}-{n}") for n in range(count)])
    shop.wait_for_rows(done + count, "processed_requests", timeout_s=60)


@pytest.mark.parametrize("unread", [unread_daemon, unread_terminal_daemon])
def test_work_goes_on_while_nobody_reads_the_log(
    shop: Shop,
    env: Mapping[str, str],
    unread: Unread,
) -> None:
    with unread(env) as (orderd, reading):
        work(shop, COUNT, "unread")
        orderd.terminate()

        assert orderd.wait(STOP_TIMEOUT_S) == 0
        os.close(reading)
    assert shop.waiting() == 0


def test_work_goes_on_when_the_reader_of_a_full_pipe_is_gone(
    shop: Shop, env: Mapping[str, str]
) -> None:
    with unread_daemon(env) as (orderd, reading):
        work(shop, COUNT, "full")
        # Lines were lost by now, and only lines.
        assert is_full(reading)
        os.close(reading)
        work(shop, COUNT, "closed")
        orderd.terminate()

        assert orderd.wait(STOP_TIMEOUT_S) == 0
    assert shop.stock_mismatches() == []
    assert shop.waiting() == 0
