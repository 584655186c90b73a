"""Nobody reads the log any more, or nobody ever will, under load."""

import os

import pytest

from tests.soak.chaos_run import ChaosRun, times
from tests.support.unread import is_full, unread_daemon
from tools.waiting import wait_until

pytestmark = pytest.mark.soak

STOP_TIMEOUT_S = 30


def test_a_log_that_nobody_reads_holds_nothing_up(chaos: ChaosRun) -> None:
    chaos.begin("log pipe full, then closed", daemons=0)
    env = {
        "ORDERD_DATABASE_URL": chaos.database_url,
        "ORDERD_RABBITMQ_URL": chaos.rabbitmq_url,
        "ORDERD_LOG_LEVEL": "debug",
        "ORDERD_RETRY_DELAYS": "1h",
    }
    with unread_daemon(env) as (orderd, reading):
        wait_until(lambda: chaos.recorded() > 0, timeout_s=30, what="the first work")
        chaos.wait_for_work(times(2_000))
        assert is_full(reading)
        os.close(reading)
        chaos.wait_for_work(times(500))
        orderd.terminate()
        assert orderd.wait(STOP_TIMEOUT_S) == 0

    chaos.finish()
