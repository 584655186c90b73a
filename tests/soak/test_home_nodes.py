"""Nodes of a cluster that are down cost what depends on them, and nothing else."""

from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from tests.acceptance.faults.test_refusals import unidentified
from tests.acceptance.shop import EVENTS_EXCHANGE, HEARD, Shop, product, user
from tests.conftest import StartDaemonOn
from tests.support.cluster import Cluster, cluster_of
from tests.support.versions import NotHere
from tools.server_root import SUITES
from tools.waiting import wait_until

pytestmark = pytest.mark.soak

VHOST = "homes"
COUNT = 200


@pytest.fixture(params=[*SUITES])
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Three nodes, of each version."""
    with ExitStack() as stack:
        try:
            running = stack.enter_context(cluster_of(request.param))
        except NotHere as reason:
            pytest.skip(str(reason))
        running.first.require_management().add_vhost(VHOST)
        yield running


def test_a_queue_whose_node_is_down_costs_that_queue(
    cluster: Cluster, database_url: str, daemon_on: StartDaemonOn
) -> None:
    here, away, _ = cluster.nodes
    with closing(Shop(away.url(VHOST), database_url)) as shop:
        # What a client declares is kept where it is connected.
        for queue in ("order", "user"):
            shop.channel.queue_delete(queue)
    with closing(Shop(here.url(VHOST), database_url)) as shop:
        users, products = "SELECT count(*) FROM users", "SELECT count(*) FROM products"
        orderd = daemon_on(here.url(VHOST))
        shop.send_all([product(id="before")])
        wait_until(lambda: shop.value(products) == 1, timeout_s=30, what="the product")

        away.kill()
        failing = orderd.wait_for_event("queue.failing", queue="product", timeout_s=60)
        assert failing["message"]
        shop.send_all([user(f"ann{number}") for number in range(COUNT)])
        wait_until(lambda: shop.value(users) == COUNT, timeout_s=60, what="all users")
        assert orderd.events("broker.disconnected") == []

        away.start()
        orderd.wait_for_event("queue.recovered", queue="product", timeout_s=120)
        shop.send_all([product(id="after")])
        wait_until(lambda: shop.value(products) == 2, timeout_s=30, what="the second product")
        assert orderd.stop() == 0


def test_a_listener_without_its_majority_holds_nobody_up(
    cluster: Cluster, database_url: str, daemon_on: StartDaemonOn
) -> None:
    here, *others = cluster.nodes
    orders = "SELECT count(*) FROM orders"
    with closing(Shop(here.url(VHOST), database_url)) as shop:
        shop.open_with(stock=10_000)
        shop.listen()
        shop.channel.queue_declare("deaf", durable=True, arguments={"x-queue-type": "quorum"})
        shop.channel.queue_bind("deaf", EVENTS_EXCHANGE, "#")
        cluster.wait_whole()
        orderd = daemon_on(here.url(VHOST), batch_max=10)
        unidentified(shop, 1)
        wait_until(lambda: shop.value(orders) == 1, timeout_s=30, what="the first order")

        for node in others:
            node.kill()
        unidentified(shop, COUNT)

        wait_until(lambda: shop.value(orders) == COUNT + 1, timeout_s=60, what="all orders")
        wait_until(lambda: shop.ready(HEARD) > COUNT, timeout_s=60, what="the others' events")
        assert orderd.events("broker.disconnected") == []
        assert orderd.stop() == 0
        assert shop.value(orders) == COUNT + 1
        assert shop.ready("order") == 0
