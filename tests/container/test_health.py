"""The probes inside of a container: its HEALTHCHECK, and what Kubernetes would run."""

import json
from collections.abc import Callable
from typing import Final

import pytest

from tests.acceptance.shop import Shop, product
from tests.container.conftest import StartContainer
from tests.support.container import Container
from tests.support.tcp_proxy import proxy_before
from tools.waiting import wait_until

pytestmark = pytest.mark.container

LIVE_AND_READY: Final = 0
LIVE_NOT_READY: Final = 1
NOT_LIVE: Final = 69
STOPWATCH: Final = """
import subprocess, time
def took_s():
    begin_s = time.perf_counter()
    subprocess.run(["orderctl", "health"], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin_s
print(min(took_s() for _ in range(10)))
"""


@pytest.mark.parametrize("server", ["database", "broker"])
def test_an_outage_makes_it_unhealthy_but_not_dead_and_then_healthy_again(
    shop: Shop, container: StartContainer, database_url: str, vhost_url: str, server: str
) -> None:
    urls = {"database": database_url, "broker": vhost_url}
    with proxy_before(urls[server]) as proxy:
        proxy.open()
        urls[server] = proxy.url
        orderd = container(database_url=urls["database"], rabbitmq_url=urls["broker"])
        wait_until(_is(orderd, "healthy"), timeout_s=20, what="healthy")

        proxy.shut()
        shop.send_all([product(id="during")])
        wait_until(_is(orderd, "unhealthy"), timeout_s=40, what="unhealthy")
        assert orderd.ctl("health", "--ready").returncode == LIVE_NOT_READY
        assert orderd.ctl("health", "--live").returncode == LIVE_AND_READY

        proxy.open()
        wait_until(_is(orderd, "healthy"), timeout_s=40, what="healthy again")
        assert orderd.ctl("health", "--ready").returncode == LIVE_AND_READY
        assert shop.wait_for("during") == {"during": "applied"}
        assert orderd.stop() == 0


def test_a_daemon_that_is_frozen_is_not_live(container: StartContainer) -> None:
    orderd = container()
    assert orderd.ctl("health", "--live").returncode == LIVE_AND_READY

    orderd.podman.run("kill", "--signal=STOP", orderd.name)

    def is_dead() -> bool:
        return orderd.ctl("health", "--live", "--max-age=3s").returncode == NOT_LIVE

    wait_until(is_dead, timeout_s=20, what="not live")
    orderd.podman.run("kill", "--signal=CONT", orderd.name)
    wait_until(lambda: not is_dead(), timeout_s=20, what="live again")
    assert orderd.stop() == 0


def test_a_probe_says_how_it_is_in_less_than_150_ms(container: StartContainer) -> None:
    orderd = container()

    told = json.loads(orderd.ctl("--json", "health").stdout)
    took_s = orderd.podman.run("exec", orderd.name, "python", "-c", STOPWATCH)

    assert (told["live"], told["ready"]) == (True, True)
    # What it takes by itself: the quickest is the one that nobody else on the machine held up.
    assert float(took_s) < 0.15


def _is(orderd: Container, wanted: str) -> Callable[[], bool]:
    return lambda: orderd.check_health() == wanted
