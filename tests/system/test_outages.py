"""Servers that systemctl stops and starts: orderd waits, and systemd never takes it for failed."""

import pytest

from tests.system.machine import Machine
from tools.waiting import wait_until

START_TIMEOUT_S = 6


@pytest.mark.parametrize("server", ["rabbitmq-server", "postgresql"])
def test_an_outage_is_waited_out_without_a_restart(orderd: Machine, server: str) -> None:
    product_id = orderd.product(f"Spare for {server}", stock=100)
    pid = orderd.pid()
    with orderd.producer(f"{server}-before-", product_id, 20) as producer:
        producer.wait()

    orderd.run("systemctl", "stop", server)
    orderd.await_status("paused")
    during = orderd.unit("orderd", "ActiveState", "NRestarts")
    if server == "postgresql":
        orderd.load(f"{server}-during-", product_id, 20)
    orderd.run("systemctl", "start", server)

    orderd.await_status("running")
    orderd.load(f"{server}-after-", product_id, 20)
    total = 40 if server == "rabbitmq-server" else 60
    orderd.await_settled(f"{server}-", total)
    assert during == {"ActiveState": "active", "NRestarts": "0"}
    assert orderd.pid() == pid
    stock = orderd.sql(f"SELECT stock_quantity FROM products WHERE id = {product_id}")  # noqa: S608
    assert stock == f"{100 - total}"


def test_a_start_without_servers_waits_beyond_its_timeout(orderd: Machine) -> None:
    orderd.drop_in("orderd.service", f"[Service]\nTimeoutStartSec={START_TIMEOUT_S}s\n")
    orderd.shell("systemctl stop orderd rabbitmq-server && systemctl start --no-block orderd")
    since_usec = int(orderd.run("date", "+%s%6N"))

    def has_waited() -> bool:
        now_usec = int(orderd.run("date", "+%s%6N"))
        return now_usec - since_usec > 2 * START_TIMEOUT_S * 1_000_000

    wait_until(has_waited, timeout_s=60, what="time gone", poll_s=0.5)

    assert orderd.unit("orderd", "ActiveState", "NRestarts") == {
        "ActiveState": "activating",
        "NRestarts": "0",
    }
    orderd.run("systemctl", "start", "rabbitmq-server")
    orderd.await_state("active")
    assert orderd.restarts() == 0
