"""Queues and the exchange that others have declared in another way, or that may not be declared."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.acceptance.shop import EVENTS_EXCHANGE, Shop, product, user
from tests.conftest import StartDaemon
from tools.daemon import DaemonProcess
from tools.rabbitmq import PrivateRabbit
from tools.waiting import wait_until

FORMER = {"x-message-ttl": 500, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "user"}
DELAYS = "500ms"
RETRY = "user.retry.500ms"


@pytest.fixture
def cut_off(private_rabbit: PrivateRabbit, vhost: str) -> Callable[[DaemonProcess], None]:
    """Close a daemon's connections; it has them again when this returns."""
    columns = ("pid", "vhost", "client_properties")

    def close(orderd: DaemonProcess) -> None:
        mark = orderd.mark()
        listed = private_rabbit.ctl("list_connections", "--no-table-headers", *columns)
        for line in listed.splitlines():
            pid, where, properties = line.split("\t")
            if where == vhost and "orderd " in properties:
                private_rabbit.ctl("close_connection", pid, "a test")
        orderd.wait_for_event("broker.connected", after=mark, timeout_s=30)

    return close


@pytest.mark.parametrize("kind", ["classic", "quorum"])
def test_a_retry_queue_of_a_former_version_is_used_and_warned_of(
    shop: Shop, daemon: StartDaemon, kind: str
) -> None:
    arguments = FORMER | {"x-queue-type": kind}
    shop.channel.queue_declare(RETRY, durable=True, arguments=arguments)

    orderd = daemon(retry_delays=DELAYS)

    warned = orderd.wait_for_event("queue.outdated")
    assert (warned["level"], warned["queue"]) == ("WARNING", RETRY)
    assert "orderctl topology apply replaces it once it is empty" in warned["message"]
    message = user(id="came-back")
    shop.channel.basic_publish("", RETRY, message.body, message.properties)
    assert shop.wait_for("came-back") == {"came-back": "applied"}


@pytest.mark.parametrize(
    ("arguments", "said"), [({}, "x-message-ttl"), ({"x-queue-type": "stream"}, "stream")]
)
def test_a_changed_retry_queue_costs_its_queue_until_it_is_mended(
    shop: Shop,
    daemon: StartDaemon,
    cut_off: Callable[[DaemonProcess], None],
    arguments: dict[str, Any],
    said: str,
) -> None:
    orderd = daemon(retry_delays=DELAYS)
    shop.channel.queue_delete(RETRY)
    shop.channel.queue_declare(RETRY, durable=True, arguments=arguments)

    cut_off(orderd)

    failing = orderd.wait_for_event("queue.failing", queue="user")
    assert f"queue {RETRY} cannot be used" in failing["message"]
    assert said in failing["message"]
    shop.send_all([user(id="waits"), product(id="goes-on")])
    assert shop.wait_for("goes-on") == {"goes-on": "applied"}

    shop.channel.queue_delete(RETRY)

    assert shop.wait_for("waits", timeout_s=60)["waits"] == "applied"
    assert orderd.stop() == 0


def test_a_changed_exchange_is_said_and_commands_go_on(
    shop: Shop, daemon: StartDaemon, cut_off: Callable[[DaemonProcess], None]
) -> None:
    orderd = daemon()
    shop.channel.exchange_delete(EVENTS_EXCHANGE)
    shop.channel.exchange_declare(EVENTS_EXCHANGE, "fanout", durable=True)

    cut_off(orderd)

    said = orderd.wait_for_event("topology.mismatched")
    assert said["level"] == "WARNING"
    assert f"exchange {EVENTS_EXCHANGE} cannot be used" in said["message"]
    shop.send_all([user(id="goes-on")])
    assert shop.wait_for("goes-on") == {"goes-on": "applied"}
    assert orderd.stop() == 0


def test_the_limit_of_a_virtual_host_is_named_at_start(
    shop: Shop, daemon: StartDaemon, private_rabbit: PrivateRabbit, vhost: str
) -> None:
    # Five are there; dead letters and retries of two queues fit in.
    private_rabbit.ctl("set_vhost_limits", "-p", vhost, '{"max-queues": 9}')

    orderd = daemon(ready=False, retry_delays=DELAYS)

    failing = orderd.wait_for_event("queue.failing", queue="order")
    assert "queue limit in vhost" in failing["message"]
    assert "(9) is reached" in failing["message"]
    shop.send_all([user(id="goes-on")])
    assert shop.wait_for("goes-on") == {"goes-on": "applied"}
    assert not orderd.events("topology.mismatched")

    private_rabbit.ctl("clear_vhost_limits", "-p", vhost)

    orderd.wait_for_event("queue.recovered", queue="order", timeout_s=90)
    assert orderd.stop() == 0


def test_the_limit_of_a_virtual_host_costs_a_running_daemon_one_queue(
    shop: Shop, daemon: StartDaemon, private_rabbit: PrivateRabbit, vhost: str
) -> None:
    orderd = daemon(retry_delays=DELAYS)
    private_rabbit.ctl("set_vhost_limits", "-p", vhost, '{"max-queues": 1}')
    shop.channel.queue_delete("user")

    def is_limited() -> bool:
        failing = orderd.events("queue.failing", queue="user")
        return any("queue limit in vhost" in line["message"] for line in failing)

    wait_until(is_limited, timeout_s=30, what="a try to declare it")
    shop.send_all([product(id="goes-on")])
    assert shop.wait_for("goes-on") == {"goes-on": "applied"}
    private_rabbit.ctl("clear_vhost_limits", "-p", vhost)
    orderd.wait_for_event("queue.recovered", queue="user", timeout_s=90)
    assert orderd.stop() == 0
