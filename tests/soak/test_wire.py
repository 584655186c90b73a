"""The wire is lost in the middle of a COMMIT, is silent, or slow."""

import random
from itertools import product
from urllib.parse import urlsplit

import pytest

from tests.acceptance.commit_trap import CommitTrap, Where
from tests.acceptance.gate import Gate
from tests.soak.arena import Arena, times
from tests.soak.cable import Cable
from tools.postgresql import PrivatePostgres

pytestmark = pytest.mark.soak

HEARTBEAT_S = 10
ROUNDS = 3
# As the documentation has it, and some more for a busy machine.
CABLE_FOUND_WITHIN_S = 25 + 10
# For each piece, each way: some round trips a batch make seconds.
DELAY_S = 0.1


@pytest.mark.parametrize("reset", [False, True], ids=["cut", "reset"])
def test_a_wire_lost_in_the_middle_of_commit_costs_nothing(
    arena: Arena, chance: random.Random, *, reset: bool
) -> None:
    how = "reset" if reset else "cut"
    with CommitTrap(arena.database_url, reset=reset) as trap:
        trap.open()
        arena.begin(f"wire {how} in the middle of COMMIT", database_url=trap.url)
        for where, _ in product(Where, range(times(ROUNDS))):
            arena.wait_for_work(chance.randint(1, 60))
            trap.spring(where)
            arena.recover()

        arena.finish()


def test_a_silent_wire_to_the_broker_is_found_and_costs_nothing(arena: Arena) -> None:
    with Gate(arena.rabbitmq_url) as gate:
        gate.open()
        arena.begin(
            "wire to RabbitMQ silent", rabbitmq_url=gate.url, rate=60, heartbeat=HEARTBEAT_S
        )
        one = arena.daemons[0]
        for _ in range(times(1)):
            mark = one.mark()
            gate.silence()
            one.wait_for_event("broker.disconnected", after=mark, timeout_s=2.5 * HEARTBEAT_S)
            gate.speak()
            arena.recover()

        arena.finish()


def test_a_pulled_cable_to_the_database_is_found_and_costs_nothing(
    arena: Arena, private_postgres: PrivatePostgres
) -> None:
    own_socket = private_postgres.socket_directory / f".s.PGSQL.{private_postgres.port}"
    with Cable(own_socket) as cable:
        name = urlsplit(arena.database_url).path
        url = f"postgresql://postgres@{cable.address[0]}:{cable.address[1]}{name}"
        arena.begin("cable to PostgreSQL pulled", database_url=url, rate=60)
        one = arena.daemons[0]
        mark = one.mark()
        cable.pull()
        one.wait_for_event("database.disconnected", after=mark, timeout_s=CABLE_FOUND_WITHIN_S)
        cable.plug()
        arena.recover()

        arena.finish()


def test_slow_wires_cost_nothing_but_time(arena: Arena) -> None:
    with Gate(arena.rabbitmq_url) as broker, Gate(arena.database_url) as database:
        broker.delay_s = database.delay_s = DELAY_S
        broker.open()
        database.open()
        arena.begin("slow wires", rate=20, rabbitmq_url=broker.url, database_url=database.url)
        arena.wait_for_work(times(300))

        arena.finish()
