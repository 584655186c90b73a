"""A login or an address that a server refuses: waited for, and said again until somebody acts."""

import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from tests.acceptance.service_manager import ServiceManager
from tools.daemon import DaemonProcess
from tools.postgresql import PrivatePostgres
from tools.servers import Servers

# The daemon itself, which says it again sooner.
IMPATIENT = """
import sys
from orderd.daemon import main
from orderd.daemon import announcer
announcer.REFUSED_AGAIN_S = 0.3
sys.exit(main.main())
"""
ROLE = "orderd_refused"
PASSWORD = "Hunter%2F2%40x"
PARTS_OF_IT = ("Hunter", "2@x", PASSWORD)


class Waiting:
    """Daemons that a server does not let in, and what they say of it in the log and in STATUS."""

    def __init__(self, tmp_path: Path) -> None:
        self._path = tmp_path / "notify"
        self.started: list[DaemonProcess] = []

    def check(self, dependency: str, database_url: str, rabbitmq_url: str, told: str) -> None:
        env = {
            "ORDERD_DATABASE_URL": database_url,
            "ORDERD_RABBITMQ_URL": rabbitmq_url,
            "NOTIFY_SOCKET": str(self._path),
        }
        with closing(ServiceManager(self._path)) as manager:
            orderd = DaemonProcess(env, program=(sys.executable, "-c", IMPATIENT))
            self.started.append(orderd)
            first = orderd.wait_for_event(f"{dependency}.refused")
            orderd.wait_for_event(f"{dependency}.refused", after=orderd.mark())
            orderd.wait_for_event(f"{dependency}.refused", after=orderd.mark())
            status = manager.wait_for_status("starting: ", "refused")
        assert told in first["message"]
        assert first["level"] == "ERROR"
        assert told in status
        assert "waiting for" not in status
        assert orderd.events(f"{dependency}.disconnected") == []
        assert not any(part in orderd.output for part in PARTS_OF_IT)


@pytest.fixture
def waiting(tmp_path: Path) -> Iterator[Waiting]:
    waiting = Waiting(tmp_path)
    yield waiting
    for orderd in waiting.started:
        orderd.kill()


@pytest.fixture
def role(private_postgres: PrivatePostgres) -> Iterator[str]:
    """A role that has to know its password, which no test knows."""
    rules = private_postgres.data_directory / "pg_hba.conf"
    before = rules.read_text()
    rules.write_text(f"host all {ROLE} 127.0.0.1/32 scram-sha-256\n{before}")
    private_postgres.run("SELECT pg_reload_conf()", f"CREATE ROLE {ROLE} LOGIN PASSWORD 'other'")
    yield ROLE
    rules.write_text(before)
    private_postgres.run("SELECT pg_reload_conf()", f"DROP ROLE {ROLE}")


def with_login(url: str, login: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{login}@{parts.netloc.rpartition('@')[2]}"))


def test_a_role_that_is_unknown_is_said_to_be_so(
    waiting: Waiting, private_postgres: PrivatePostgres, database_url: str, vhost_url: str
) -> None:
    url = with_login(database_url, f"nobody:{PASSWORD}")

    waiting.check("database", url, vhost_url, "login refused for role nobody: ")

    # As soon as it is let in, it goes on.
    (orderd,) = waiting.started
    private_postgres.run("CREATE ROLE nobody LOGIN SUPERUSER")
    try:
        orderd.wait_ready(timeout_s=10)
        assert orderd.stop() == 0
    finally:
        private_postgres.run("DROP ROLE nobody")


def test_a_wrong_password_is_said_to_be_one(
    waiting: Waiting, role: str, database_url: str, vhost_url: str
) -> None:
    url = with_login(database_url, f"{role}:{PASSWORD}")

    waiting.check("database", url, vhost_url, f"login refused for role {role}: ")


def test_a_role_without_password_is_said_to_need_one(
    waiting: Waiting, role: str, database_url: str, vhost_url: str
) -> None:
    url = with_login(database_url, role)

    waiting.check("database", url, vhost_url, f"login refused for role {role}: ")


def test_a_database_that_is_missing_is_said_to_be_so(
    waiting: Waiting, servers: Servers, vhost_url: str
) -> None:
    url = servers.postgres.url("nowhere")

    waiting.check("database", url, vhost_url, 'database "nowhere" does not exist')


def test_a_login_that_the_broker_refuses_is_said_to_be_so(
    waiting: Waiting, database_url: str, vhost_url: str
) -> None:
    url = with_login(vhost_url, f"nobody:{PASSWORD}")

    waiting.check("broker", database_url, url, "login refused for user nobody: ")


def test_a_virtual_host_that_is_missing_is_said_to_be_so(
    waiting: Waiting, servers: Servers, database_url: str, admin_vhost_url: str
) -> None:
    missing = f"{admin_vhost_url}_missing"

    waiting.check("broker", database_url, missing, "virtual host refused to user guest: ")

    (orderd,) = waiting.started
    name = missing.rpartition("/")[2]
    assert servers.rabbit.add_vhost(name) == missing
    try:
        orderd.wait_ready(timeout_s=10)
        assert orderd.stop() == 0
    finally:
        servers.rabbit.delete_vhost(name)
