"""A RabbitMQ and a PostgreSQL with TLS, and daemons that reach them by it alone."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from orderd.db.connection import Database
from orderd.db.migrations import migrate
from tests.acceptance.shop import Shop
from tests.integration.tls.conftest import (
    authority,
    other_authority,
    scratch,
    tls_postgres,
    tls_rabbit,
)
from tests.support.authority import Authority, KeyPair
from tests.support.tls_postgres import TlsPostgres
from tests.support.tls_rabbit import TlsRabbit
from tools.daemon import PROGRAM, DaemonProcess

__all__ = ["authority", "other_authority", "scratch", "tls_postgres", "tls_rabbit"]

Start = Callable[..., DaemonProcess]


@pytest.fixture
def client(authority: Authority) -> KeyPair:
    """The certificate of orderd, at both servers."""
    return authority.issue("orderd-client", ["client"], subject="orderd")


@pytest.fixture
def ca_file(tmp_path: Path, authority: Authority) -> Path:
    """The file of the authority, which a test may exchange."""
    file = tmp_path / "ca.pem"
    file.write_bytes(authority.certificate.read_bytes())
    return file


@pytest.fixture
def environment(
    vhost: str, tls_rabbit: TlsRabbit, tls_postgres: TlsPostgres, client: KeyPair, ca_file: Path
) -> Iterator[dict[str, str]]:
    """What leads orderd and orderctl to both servers by TLS."""
    name = vhost
    tls_postgres.server.create_database(name)
    tls_rabbit.node.add_vhost(vhost)
    dsn = tls_postgres.dsn(client, database=name)
    with closing(Database(dsn)) as database:
        migrate(database)
    yield {
        "ORDERD_DATABASE_URL": dsn,
        "ORDERD_RABBITMQ_URL": tls_rabbit.url(vhost),
        "ORDERD_RABBITMQ_CA_FILE": str(ca_file),
        "ORDERD_RABBITMQ_CERT_FILE": str(client.certificate),
        "ORDERD_RABBITMQ_KEY_FILE": str(client.key),
    }
    tls_rabbit.node.delete_vhost(vhost)
    tls_postgres.server.drop_database(name)
    tls_rabbit.restore()


@pytest.fixture
def start(environment: dict[str, str]) -> Iterator[Start]:
    """Start a daemon; `start(rabbitmq_ca_file="")` changes a setting."""
    started: list[DaemonProcess] = []

    def begin(program: tuple[str, ...] = PROGRAM, /, **changes: str) -> DaemonProcess:
        env = environment | {f"ORDERD_{key.upper()}": each for key, each in changes.items()}
        one = DaemonProcess(env, program=program)
        started.append(one)
        return one

    yield begin
    for one in started:
        one.kill()


@pytest.fixture
def shop(vhost: str, tls_rabbit: TlsRabbit, environment: dict[str, str]) -> Iterator[Shop]:
    """The shop from outside, without TLS to RabbitMQ."""
    one = Shop(tls_rabbit.node.url(vhost), environment["ORDERD_DATABASE_URL"])
    one.listen()
    yield one
    one.close()
