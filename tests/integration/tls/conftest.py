"""Authorities, and a RabbitMQ with TLS, for the tests of this directory."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.authority import Authority
from tests.support.tls_postgres import TlsPostgres
from tests.support.tls_rabbit import TlsRabbit
from tests.support.versions import chosen_installation


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Who signs the servers' certificates."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def other_authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Somebody else."""
    return Authority(tmp_path_factory.mktemp("other"), "other authority")


@pytest.fixture(scope="session")
def tls_rabbit(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority
) -> Iterator[TlsRabbit]:
    one = TlsRabbit(tmp_path_factory.mktemp("rabbit"), authority, chosen_installation())
    try:
        one.node.start()
        yield one
    finally:
        one.node.close()


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """A directory through which the user postgres gets; those of pytest are for one user alone."""
    with TemporaryDirectory(prefix="orderd-tls-") as name:
        place = Path(name)
        place.chmod(0o711)
        yield place


@pytest.fixture(scope="session")
def tls_postgres(scratch: Path, authority: Authority) -> Iterator[TlsPostgres]:
    one = TlsPostgres(scratch / "postgres", authority, chosen_installation())
    try:
        one.start()
        yield one
    finally:
        one.server.close()
