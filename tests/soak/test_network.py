"""The connection is lost in the middle of a COMMIT, is silent, or slow."""

import random
from itertools import product
from urllib.parse import urlsplit

import pytest

from tests.acceptance.commit_trap import CommitTrap, Where
from tests.soak.chaos_run import ChaosRun, times
from tests.soak.network_cut import NetworkCut
from tests.support.tcp_proxy import TcpProxy
from tools.postgresql import PrivatePostgres

pytestmark = pytest.mark.soak

HEARTBEAT_S = 10
ROUNDS = 3
# As the documentation has it, and some more for a busy machine.
CABLE_FOUND_WITHIN_S = 25 + 10
# For each piece, each way: some round trips a batch make seconds.
DELAY_S = 0.1


@pytest.mark.parametrize("reset", [False, True], ids=["cut", "reset"])
def test_a_connection_lost_in_the_middle_of_commit_costs_nothing(
    chaos: ChaosRun, chance: random.Random, *, reset: bool
) -> None:
    how = "reset" if reset else "cut"
    with CommitTrap(chaos.database_url, reset=reset) as trap:
        trap.open()
        chaos.begin(f"connection {how} in the middle of COMMIT", database_url=trap.url)
        for where, _ in product(Where, range(times(ROUNDS))):
            chaos.wait_for_work(chance.randint(1, 60))
            trap.spring(where)
            chaos.recover()

        chaos.finish()


def test_a_silent_connection_to_the_broker_is_found_and_costs_nothing(chaos: ChaosRun) -> None:
    with TcpProxy(chaos.rabbitmq_url) as proxy:
        proxy.open()
        chaos.begin(
            "connection to RabbitMQ silent", rabbitmq_url=proxy.url, rate=60, heartbeat=HEARTBEAT_S
        )
        one = chaos.daemons[0]
        for _ in range(times(1)):
            mark = one.mark()
            proxy.silence()
            one.wait_for_event("broker.disconnected", after=mark, timeout_s=2.5 * HEARTBEAT_S)
            proxy.speak()
            chaos.recover()

        chaos.finish()


def test_a_network_cut_to_the_database_is_found_and_costs_nothing(
    chaos: ChaosRun, private_postgres: PrivatePostgres
) -> None:
    own_socket = private_postgres.socket_directory / f".s.PGSQL.{private_postgres.port}"
    with NetworkCut(own_socket) as network:
        name = urlsplit(chaos.database_url).path
        url = f"postgresql://postgres@{network.address[0]}:{network.address[1]}{name}"
        chaos.begin("network to PostgreSQL cut", database_url=url, rate=60)
        one = chaos.daemons[0]
        mark = one.mark()
        network.cut()
        one.wait_for_event("database.disconnected", after=mark, timeout_s=CABLE_FOUND_WITHIN_S)
        network.restore()
        chaos.recover()

        chaos.finish()


def test_slow_networks_cost_nothing_but_time(chaos: ChaosRun) -> None:
    with TcpProxy(chaos.rabbitmq_url) as broker, TcpProxy(chaos.database_url) as database:
        broker.delay_s = database.delay_s = DELAY_S
        broker.open()
        database.open()
        chaos.begin("slow networks", rate=20, rabbitmq_url=broker.url, database_url=database.url)
        chaos.wait_for_work(times(300))

        chaos.finish()
