"""The real orderctl, as a program, against real servers."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from orderd.contract.strict_json import loads
from tests.integration.ctl.letters import Broker, broker_at
from tools.daemon import clean_environment
from tools.management import Management
from tools.servers import Servers

TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run of orderctl ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """What was printed, which has to be one JSON document."""
        return loads(self.out.encode())


Orderctl = Callable[..., Ended]


@pytest.fixture
def orderctl(database_url: str, vhost_url: str) -> Orderctl:
    """Run `orderctl ARGS` on this test's database and virtual host, unless env says otherwise."""
    return _on({"ORDERD_DATABASE_URL": database_url, "ORDERD_RABBITMQ_URL": vhost_url})


@pytest.fixture
def orderctl_before_migration(empty_database_url: str, vhost_url: str) -> Orderctl:
    """The same, with a database that has no tables."""
    return _on({"ORDERD_DATABASE_URL": empty_database_url, "ORDERD_RABBITMQ_URL": vhost_url})


def _on(servers: dict[str, str]) -> Orderctl:
    def run(*arguments: str, stdin: str = "", **env: str) -> Ended:
        done = subprocess.run(
            [sys.executable, "-m", "orderd.ctl", *arguments],
            env=clean_environment() | servers | env,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def broker(vhost_url: str) -> Iterator[Broker]:
    """Somebody else's connection to this test's virtual host."""
    with broker_at(vhost_url) as broker:
        yield broker


@pytest.fixture
def management(servers: Servers) -> Management:
    if servers.rabbit.management is None:
        pytest.skip("needs the management API")
    return servers.rabbit.management


@pytest.fixture
def topology(orderctl: Orderctl, management: Management) -> Callable[..., Ended]:
    """Run `orderctl topology ARGS` with the management API that the server really has."""
    url = f"http://{management.host}:{management.port}"

    def run(*arguments: str, **env: str) -> Ended:
        return orderctl("topology", *arguments, **{"RABBITMQ_MANAGEMENT_URL": url, **env})

    return run
