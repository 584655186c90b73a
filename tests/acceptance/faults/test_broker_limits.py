"""Limits of the broker on connections and channels: said, and worked with as far as can be."""

import json
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from orderd.protocol.exit_codes import ExitCode
from tests.acceptance.shop import Shop, order
from tests.conftest import StartDaemon, StartDaemonOn
from tests.support.connections import wait_for_connections
from tests.support.versions import Broker
from tools.daemon import DaemonProcess
from tools.rabbitmq import PrivateRabbit

CALLS = 5
PRODUCT = {"name": "Lamp", "price": "9.90", "stock_quantity": 3}


@pytest.fixture
def limited_url(broker: Broker) -> Iterator[str]:
    """The URL for a user who may have two connections."""
    name = f"limited-{broker.vhost}"
    broker.rabbit.ctl("add_user", name, name)
    broker.rabbit.ctl("set_permissions", "-p", broker.vhost, name, ".*", ".*", ".*")
    broker.rabbit.ctl("set_user_limits", name, json.dumps({"max-connections": 2}))
    host = urlsplit(broker.url)
    yield f"amqp://{name}:{name}@{host.hostname}:{host.port}{host.path}"
    broker.rabbit.ctl("delete_user", name)


def test_with_two_connections_a_user_gets_direct_replies(
    broker: Broker, limited_url: str, admin_database_url: str, daemon_on: StartDaemonOn
) -> None:
    with closing(Shop(broker.admin_url, admin_database_url)) as shop:
        orderd = daemon_on(limited_url)

        told = orderd.wait_for_event("replies.rerouted")
        assert "connection limit (2) is reached" in told["message"]
        for _ in range(CALLS):
            assert shop.call("product", "create", PRODUCT)["status"] == "ok"
        broker.rabbit.ctl("clear_user_limits", f"limited-{broker.vhost}", "max-connections")
        orderd.wait_for_event("replies.restored", timeout_s=90)
        assert shop.call("product", "create", PRODUCT)["status"] == "ok"
        assert orderd.stop() == 0
        assert len(orderd.events("replies.rerouted")) == 1
        assert orderd.events("broker.disconnected") == []


def test_a_limit_of_the_virtual_host_leaves_direct_replies(
    shop: Shop, vhost: str, private_rabbit: PrivateRabbit, daemon: StartDaemon
) -> None:
    # One of them is the shop's.
    limits = json.dumps({"max-connections": 3})
    private_rabbit.ctl("set_vhost_limits", "-p", vhost, limits)
    orderd = daemon()

    told = orderd.wait_for_event("replies.rerouted")
    assert "connection limit (3) is reached" in told["message"]
    assert shop.call("product", "create", PRODUCT)["status"] == "ok"
    # Nothing that can be done without takes the place of what is needed.
    for _ in range(2):
        mark = orderd.mark()
        ((pid, _), *_) = wait_for_connections(private_rabbit, vhost, 2)
        private_rabbit.ctl("close_connection", pid, "a test")
        orderd.wait_for_event("broker.connected", after=mark)
        assert shop.call("product", "create", PRODUCT)["status"] == "ok"
    assert orderd.stop() == 0
    assert orderd.events("broker.refused") == []


@contextmanager
def channel_max(rabbit: PrivateRabbit, count: int) -> Iterator[None]:
    """Have the broker allow so many channels on each new connection."""
    text = "application:set_env(rabbit, channel_max, {})."
    rabbit.ctl("eval", text.format(count))
    try:
        yield
    finally:
        rabbit.ctl("eval", text.format(2047))


@pytest.mark.parametrize(
    ("count", "consume", "needed"), [(1, "shared", 5), (4, "shared", 5), (7, "exclusive", 8)]
)
def test_too_few_channels_end_a_start(
    private_rabbit: PrivateRabbit, daemon: StartDaemon, count: int, consume: str, needed: int
) -> None:
    with channel_max(private_rabbit, count):
        orderd = daemon(ready=False, consume=consume)

        assert orderd.exit_code() == ExitCode.CONFIG
    (told,) = orderd.events("topology.mismatched")
    assert f"channel_max {count}: orderd needs {needed} channels" in told["message"]


class Reloading:
    """Starts daemons that can be reloaded with new retry steps, for which they need a channel."""

    def __init__(self, daemon: StartDaemon, path: Path) -> None:
        self._daemon = daemon
        self._path = path
        path.write_text("")

    def start(self, consume: str = "shared") -> DaemonProcess:
        return self._daemon(args=["--config", str(self._path)], consume=consume)

    def reload(self, orderd: DaemonProcess, delays: str) -> None:
        mark = orderd.mark()
        self._path.write_text(f"retry_delays = {delays}\n")
        orderd.send(signal.SIGHUP)
        orderd.wait_for_event("config.reloaded", after=mark)


@pytest.fixture
def reloading(daemon: StartDaemon, tmp_path: Path) -> Reloading:
    return Reloading(daemon, tmp_path / "orderd.toml")


@pytest.mark.parametrize(("count", "consume"), [(5, "shared"), (8, "exclusive")])
def test_just_enough_channels_are_enough(
    shop: Shop, private_rabbit: PrivateRabbit, reloading: Reloading, count: int, consume: str
) -> None:
    with channel_max(private_rabbit, count):
        orderd = reloading.start(consume=consume)

        reloading.reload(orderd, '["1s", "2s"]')
        assert shop.call("product", "create", PRODUCT)["status"] == "ok"
        shop.send_all([order({1: 1}, user_id=77, id="too-early")])
        shop.wait_for("too-early")
        assert orderd.stop() == 0
    assert orderd.events("broker.disconnected") == []
    assert orderd.events("queue.failing") == []


def test_a_running_daemon_outlives_that_channels_are_limited(
    vhost: str, private_rabbit: PrivateRabbit, reloading: Reloading
) -> None:
    orderd = reloading.start()

    with channel_max(private_rabbit, 1):
        private_rabbit.ctl("close_all_connections", "--vhost", vhost, "a test")
        told = orderd.wait_for_event("broker.refused")
        assert "channel_max 1: orderd needs 5 channels" in told["message"]
        reloading.reload(orderd, '["1s", "2s"]')

    orderd.wait_for_event("intake.resumed")
    assert orderd.stop() == 0


@pytest.mark.parametrize("broker_version", ["4.3"])
def test_a_limit_on_the_channels_of_a_user_is_said(
    broker: Broker, limited_url: str, daemon_on: StartDaemonOn
) -> None:
    limits = {"max-channels": 3, "max-connections": -1}
    broker.rabbit.ctl("set_user_limits", f"limited-{broker.vhost}", json.dumps(limits))

    orderd = daemon_on(limited_url, ready=False)

    told = orderd.wait_for_event("broker.refused")
    assert "530" in told["message"]
    assert "has reached the maximum allowed user limit of" in told["message"]
    limits["max-channels"] = 6
    broker.rabbit.ctl("set_user_limits", f"limited-{broker.vhost}", json.dumps(limits))
    orderd.wait_ready()
    assert orderd.stop() == 0


@pytest.mark.parametrize(("consume", "consuming"), [("shared", 4), ("exclusive", 7)])
def test_connections_and_channels_are_as_the_manual_says(
    vhost: str, private_rabbit: PrivateRabbit, daemon: StartDaemon, consume: str, consuming: int
) -> None:
    daemon(consume=consume)

    found = wait_for_connections(private_rabbit, vhost, 3)

    # One more while something is declared.
    assert [channels for _, channels in found] == [1, consuming, 1]
