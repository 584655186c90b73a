"""Nodes of a RabbitMQ cluster die, and come back, under load on quorum queues."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from urllib.parse import quote

import pytest

from tests.conftest import StartDaemonOn
from tests.soak.chaos_run import ChaosRun, times
from tests.soak.conftest import KeepFigures
from tests.support.cluster import Cluster, cluster_of
from tests.support.versions import NotHere
from tools.rabbitmq import PrivateRabbit

pytestmark = pytest.mark.soak

VERSION = "4.3"
# Until the others have noticed, elected new leaders, and orderd has found one that is up.
BACK_WITHIN_S = 30.0
VHOST = "cluster"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Three nodes."""
    with ExitStack() as stack:
        try:
            running = stack.enter_context(cluster_of(VERSION))
        except NotHere as reason:
            pytest.skip(str(reason))
        yield running


@pytest.fixture
def chaos(
    cluster: Cluster,
    database_url: str,
    daemon_on: StartDaemonOn,
    seed: int,
    keep_figures: KeepFigures,
) -> Iterator[ChaosRun]:
    """A stage on a virtual host of the cluster, whose queues are quorum queues."""
    management = cluster.first.require_management()
    management.add_vhost(VHOST)
    management.request("PUT", f"/api/vhosts/{quote(VHOST)}", {"default_queue_type": "quorum"})
    urls = cluster.urls(VHOST)
    one = ChaosRun(partial(daemon_on, urls), urls, database_url, seed)
    yield one
    keep_figures(one)
    cluster.start()
    cluster.first.require_management().delete_vhost(VHOST)


def test_nodes_that_are_killed_cost_nothing(cluster: Cluster, chaos: ChaosRun) -> None:
    chaos.begin("node of the cluster killed", daemons=2)

    for node in cluster.nodes * times(1):
        kill_and_start_again(cluster, chaos, node)

    chaos.finish()


def test_leaders_that_are_killed_cost_nothing(cluster: Cluster, chaos: ChaosRun) -> None:
    chaos.begin("leader of the order queue killed", daemons=2)

    for _ in range(times(3)):
        kill_and_start_again(cluster, chaos, cluster.leader(VHOST, "order"))

    chaos.finish()


@pytest.mark.parametrize("end", [PrivateRabbit.stop, PrivateRabbit.kill])
def test_a_cluster_that_goes_away_and_comes_back_costs_nothing(
    cluster: Cluster, chaos: ChaosRun, end: Callable[[PrivateRabbit], None]
) -> None:
    chaos.begin(f"all nodes of the cluster, {end.__name__}", daemons=2)
    chaos.wait_for_work()
    marks = [(one, one.mark()) for one in chaos.daemons]

    for node in cluster.nodes:
        end(node)
    for one, mark in marks:
        one.wait_for_event("intake.paused", after=mark, timeout_s=60)
    cluster.start()

    chaos.recover(BACK_WITHIN_S)
    chaos.finish()


def kill_and_start_again(cluster: Cluster, chaos: ChaosRun, node: PrivateRabbit) -> None:
    """Kill a node, see that work goes on without it, and have it back as a full member."""
    cluster.wait_whole()
    chaos.wait_for_work()
    node.kill()
    chaos.recover(BACK_WITHIN_S)
    node.start()
