"""Fixtures that every test may ask for: servers, a database, a virtual host, daemons."""

import itertools
import os
import random
import secrets
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from functools import partial
from typing import Any, Protocol

import pytest
from hypothesis import settings

from orderd.db.connection import Database
from orderd.db.migrations import migrate
from orderd.protocol.roles import Role
from tests.support.grants import Roles, granted_roles
from tests.support.orderctl import orderctl_on
from tests.support.versions import Broker, Brokers, NotHere, chosen_installation
from tools.broker import ServerRefused
from tools.daemon import EVENT_TIMEOUT_S, PROGRAM, DaemonProcess
from tools.postgresql import PrivatePostgres
from tools.program import StartFailed
from tools.rabbitmq import PrivateRabbit
from tools.server_root import SUITES
from tools.servers import Servers

# The same examples in each run; only `make soak` draws by chance, from a seed that is printed.
FIXED = settings(deadline=None, derandomize=True, database=None, print_blob=False)
settings.register_profile("ci", FIXED)
settings.register_profile("quick", FIXED, max_examples=20)
settings.register_profile("random", FIXED, derandomize=False)
settings.register_profile("thorough", settings.get_profile("random"), max_examples=2_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

SEED_VARIABLE = "ORDERD_SOAK_SEED"
SEED = pytest.StashKey[int]()
DAEMONS = pytest.StashKey[list[DaemonProcess]]()
RUN_NAME = f"orderd_test_{os.getpid()}_{secrets.token_hex(3)}"
SERIAL = itertools.count(1)


class StartDaemon(Protocol):
    """What the fixture `daemon` gives: starts one more orderd for this test."""

    def __call__(
        self,
        *,
        ready: bool = True,
        timeout_s: float = EVENT_TIMEOUT_S,
        args: Sequence[str] = (),
        **orderd_settings: object,
    ) -> DaemonProcess: ...


class StartDaemonOn(Protocol):
    """What the fixture `daemon_on` gives: starts one more orderd on that broker."""

    def __call__(
        self,
        broker_url: str,
        /,
        *,
        ready: bool = True,
        timeout_s: float = EVENT_TIMEOUT_S,
        args: Sequence[str] = (),
        program: Sequence[str] = PROGRAM,
        **orderd_settings: object,
    ) -> DaemonProcess: ...


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """RabbitMQ and PostgreSQL, started when the first test asks.

    ORDERD_TEST_SUITE names the Debian suite that they are from, if it is not this machine's.
    """
    with ExitStack() as stack:
        try:
            installation = chosen_installation()
            running = stack.enter_context(Servers(fsync=False, installation=installation))
        except NotHere as reason:
            pytest.skip(str(reason))
        except (ServerRefused, StartFailed) as error:
            pytest.exit(str(error), returncode=1)  # once, instead of an error for every test
        yield running


@pytest.fixture
def private_rabbit(servers: Servers) -> PrivateRabbit:
    """The node, for tests that stop it; whoever stops it starts it again."""
    if not isinstance(servers.rabbit, PrivateRabbit):
        pytest.skip("only a private RabbitMQ may be stopped")
    return servers.rabbit


@pytest.fixture
def private_postgres(servers: Servers) -> PrivatePostgres:
    """The server, for tests that stop it; whoever stops it starts it again."""
    if not isinstance(servers.postgres, PrivatePostgres):
        pytest.skip("only a private PostgreSQL may be stopped")
    return servers.postgres


@pytest.fixture(scope="session")
def template_database(servers: Servers) -> Iterator[str]:
    """The name of a migrated, empty database, to be copied."""
    name = f"{RUN_NAME}_template"
    with closing(Database(servers.postgres.create_database(name))) as database:
        migrate(database)
    yield name
    servers.postgres.drop_database(name)


@pytest.fixture(scope="session")
def roles(servers: Servers) -> Iterator[Roles]:
    """The roles of this run, which what `orderctl grants` prints makes."""
    with granted_roles(servers, RUN_NAME) as roles:
        yield roles


@pytest.fixture(scope="session")
def granted_database(servers: Servers, roles: Roles) -> Iterator[str]:
    """The name of an empty database, to be copied, whose owner has migrated it."""
    name = f"{RUN_NAME}_granted"
    url = servers.postgres.create_database(name)
    assert "run orderctl migrate" in roles.grant_database(url)
    migrated = orderctl_on({"ORDERD_DATABASE_URL": roles.url(url, Role.OWNER)})("migrate")
    assert migrated.code == 0, migrated.err
    assert not roles.grant_database(url)
    yield name
    servers.postgres.drop_database(name)


@pytest.fixture
def empty_database_url(servers: Servers) -> Iterator[str]:
    """The URL of a new database without tables."""
    name = f"{RUN_NAME}_{next(SERIAL)}"
    yield servers.postgres.create_database(name)
    servers.postgres.drop_database(name)


@pytest.fixture
def database_url(servers: Servers, template_database: str) -> Iterator[str]:
    """The URL of a new, migrated database of this test."""
    name = f"{RUN_NAME}_{next(SERIAL)}"
    yield servers.postgres.create_database(name, template=template_database)
    servers.postgres.drop_database(name)


@pytest.fixture
def vhost() -> str:
    """The name of this test's virtual host, for rabbitmqadmin and rabbitmqctl."""
    return f"{RUN_NAME}_{next(SERIAL)}"


@pytest.fixture
def vhost_url(servers: Servers, vhost: str) -> Iterator[str]:
    """The URL of an empty virtual host of this test."""
    try:
        url = servers.rabbit.add_vhost(vhost)
    except ServerRefused as error:
        pytest.exit(str(error), returncode=1)
    yield url
    servers.rabbit.delete_vhost(vhost)


@pytest.fixture(scope="session")
def brokers(servers: Servers) -> Iterator[Brokers]:
    """RabbitMQ nodes of all versions, each started when the first test asks for it."""
    given = servers.rabbit
    with Brokers(given if isinstance(given, PrivateRabbit) else None) as running:
        yield running


@pytest.fixture(params=[*SUITES])
def broker_version(request: pytest.FixtureRequest) -> str:
    """The versions of RabbitMQ on which a test with `broker` has to hold: each of them.

    For fewer: `@pytest.mark.parametrize("broker_version", ["4.0", "4.3"])`.
    """
    return str(request.param)


@pytest.fixture
def broker(broker_version: str, brokers: Brokers) -> Iterator[Broker]:
    """A virtual host of this test on each version of RabbitMQ; the test is marked `versions`."""
    try:
        node = brokers.node(broker_version)
    except NotHere as reason:
        pytest.skip(str(reason))
    name = f"{RUN_NAME}_{next(SERIAL)}"
    yield Broker(broker_version, node, name, node.add_vhost(name))
    node.delete_vhost(name)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark the tests that run once for each version."""
    if "broker_version" in getattr(item, "fixturenames", ()):
        item.add_marker(pytest.mark.versions)


@pytest.fixture
def daemon(daemon_on: StartDaemonOn, vhost_url: str) -> StartDaemon:
    """Start daemons on this test's database and virtual host; none of them outlives it.

    `daemon(batch_max=1)` sets ORDERD_BATCH_MAX; it returns when it consumes, or, with
    `ready=False`, at once.
    """
    return partial(daemon_on, vhost_url)


@pytest.fixture
def daemon_on(request: pytest.FixtureRequest, database_url: str) -> Iterator[StartDaemonOn]:
    """Start daemons like `daemon`, on the broker at a URL: `daemon_on(broker.url)`."""
    started: list[DaemonProcess] = request.node.stash.setdefault(DAEMONS, [])

    with ExitStack() as stack:

        def start(
            broker_url: str,
            /,
            *,
            ready: bool = True,
            timeout_s: float = EVENT_TIMEOUT_S,
            args: Sequence[str] = (),
            program: Sequence[str] = PROGRAM,
            **orderd_settings: object,
        ) -> DaemonProcess:
            env = {"ORDERD_DATABASE_URL": database_url, "ORDERD_RABBITMQ_URL": broker_url}
            env |= {f"ORDERD_{key.upper()}": str(orderd_settings[key]) for key in orderd_settings}
            one = DaemonProcess(env, args=args, program=program)
            stack.callback(one.kill)
            started.append(one)
            if ready:
                one.wait_ready(timeout_s=timeout_s)
            return one

        yield start


@pytest.fixture
def seed(pytestconfig: pytest.Config) -> int:
    """The seed of all chance in this run; ORDERD_SOAK_SEED repeats one."""
    print(f"{SEED_VARIABLE}={pytestconfig.stash[SEED]}")  # noqa: T201 - pytest shows it with a failure
    return pytestconfig.stash[SEED]


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Take the seed from the environment, or draw one, and hand it to Hypothesis' own plugin."""
    # Who runs the tests in the background ignores these, and so would all that they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    drawn = random.SystemRandom().randrange(10**9)
    config.stash[SEED] = int(os.environ.get(SEED_VARIABLE) or drawn)
    config.option.hypothesis_seed = str(config.stash[SEED])


def pytest_terminal_summary(
    terminalreporter: "pytest.TerminalReporter", config: pytest.Config
) -> None:
    """Print how to draw the same examples again, where they were drawn by chance."""
    if not settings().derandomize:
        terminalreporter.write_line(f"{SEED_VARIABLE}={config.stash[SEED]} repeats this run")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Put the logs of its daemons under a test that failed."""
    report: Any = yield
    if report.failed:
        for one in item.stash.get(DAEMONS, []):
            report.sections.append((f"orderd, pid {one.pid}", one.log_tail()))
    return report
