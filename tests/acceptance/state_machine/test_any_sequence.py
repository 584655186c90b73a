"""Any sequence of requests and faults leaves what the reference model says."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.acceptance.shop import Shop
from tests.acceptance.state_machine.environment import Environment
from tests.acceptance.state_machine.machine import AnySequence
from tests.support.tcp_proxy import TcpProxy, proxy_before
from tools.postgresql import PrivatePostgres
from tools.servers import Servers

# A sequence takes seconds, and what daemons do side by side never comes a second time just so:
# a shorter sequence that fails too is not looked for.
SOME = settings(
    max_examples=4,
    stateful_step_count=20,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
    report_multiple_bugs=False,
)
MANY = settings(SOME, max_examples=40, stateful_step_count=30)


@pytest.fixture
def environment(
    shop: Shop, servers: Servers, vhost_url: str, database_url: str
) -> Iterator[Environment]:
    postgres = servers.postgres if isinstance(servers.postgres, PrivatePostgres) else None
    with proxy_before(vhost_url) as broker, proxy_before(database_url) as database:
        proxies: dict[str, TcpProxy] = {"broker": broker, "database": database}
        with Environment(shop, proxies, postgres) as environment:
            yield environment


def run(environment: Environment, how: settings) -> None:
    begin: Any = partial(AnySequence, environment)
    run_state_machine_as_test(begin, settings=how)


def test_any_sequence_leaves_what_the_model_says(environment: Environment) -> None:
    run(environment, SOME)


@pytest.mark.soak
def test_many_sequences_leave_what_the_model_says(environment: Environment) -> None:
    run(environment, MANY)
