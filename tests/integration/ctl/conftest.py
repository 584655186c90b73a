"""The real orderctl, as a program, against real servers."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.ctl.dlq_runs import Runs
from tests.integration.ctl.letters import Broker, broker_at
from tests.support.orderctl import Ended, Orderctl, orderctl_on
from tests.support.terminal import Terminal, terminal
from tools.daemon import clean_environment
from tools.management import Management
from tools.servers import Servers

__all__ = ["Ended", "Open", "Orderctl"]

Open = Callable[..., Terminal]


@pytest.fixture
def orderctl(database_url: str, vhost_url: str) -> Orderctl:
    """Run `orderctl ARGS` on this test's database and virtual host, unless env says otherwise."""
    return orderctl_on({"ORDERD_DATABASE_URL": database_url, "ORDERD_RABBITMQ_URL": vhost_url})


@pytest.fixture
def orderctl_before_migration(empty_database_url: str, vhost_url: str) -> Orderctl:
    """The same, with a database that has no tables."""
    return orderctl_on(
        {"ORDERD_DATABASE_URL": empty_database_url, "ORDERD_RABBITMQ_URL": vhost_url}
    )


@pytest.fixture
def broker(vhost_url: str) -> Iterator[Broker]:
    """Somebody else's connection to this test's virtual host."""
    with broker_at(vhost_url) as broker:
        yield broker


@pytest.fixture
def runs(database_url: str, vhost_url: str) -> Runs:
    """Runs of `orderctl dlq` on this test's database and virtual host."""
    return Runs(database_url, vhost_url)


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


@pytest.fixture
def open_terminal(tmp_path: Path, database_url: str, vhost_url: str) -> Iterator[Open]:
    """Open terminals in which `orderctl` reaches this test's database and virtual host."""
    program = tmp_path / "orderctl"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m orderd.ctl "$@"\n')
    program.chmod(0o755)
    environ = clean_environment()
    environ |= {"ORDERD_DATABASE_URL": database_url, "ORDERD_RABBITMQ_URL": vhost_url}
    environ |= {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(Path.cwd())}
    for name in ("NO_COLOR", "COLUMNS", "TMUX"):
        environ.pop(name, None)
    with ExitStack() as opened:
        yield lambda columns, **more: opened.enter_context(
            terminal(tmp_path, columns, {**environ, **more})
        )
