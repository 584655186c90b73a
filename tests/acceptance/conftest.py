"""Fixtures of the acceptance tests: daemons and orderctl have what `orderctl grants` prints.

`database_url`, `vhost_url` and `broker.url` are for the role *daemon*, and so for whatever a test
starts as orderd. What the test itself does to the servers goes by `admin_database_url`,
`admin_vhost_url` and `broker.admin_url`.
"""

from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import unquote, urlsplit

import pytest
from psycopg2.extensions import parse_dsn

from orderd.protocol.roles import Role
from tests.acceptance.shop import Shop
from tests.support.grants import Roles
from tests.support.versions import Broker
from tools.broker import RabbitServer
from tools.servers import Servers


@pytest.fixture(scope="session")
def template_database(granted_database: str) -> str:
    """The name of an empty database to be copied, whose owner has migrated it."""
    return granted_database


@pytest.fixture
def admin_database_url(database_url: str, servers: Servers) -> str:
    """The URL of this test's database for the superuser."""
    return servers.postgres.url(parse_dsn(database_url)["dbname"])


@pytest.fixture
def database_url(database_url: str, roles: Roles) -> str:
    """The URL of a new, migrated database of this test, for the role daemon."""
    return roles.url(database_url, Role.DAEMON)


@pytest.fixture
def admin_vhost_url(vhost_url: str, servers: Servers) -> str:
    """The URL of this test's virtual host for the administrator."""
    return servers.rabbit.url(unquote(urlsplit(vhost_url).path[1:]))


@pytest.fixture
def vhost_url(vhost_url: str, vhost: str, servers: Servers, roles: Roles) -> str:
    """The URL of an empty virtual host of this test, for the role daemon."""
    return _granted(servers.rabbit, vhost, vhost_url, roles)


@pytest.fixture
def broker(broker: Broker, roles: Roles) -> Broker:
    """A virtual host of this test on each version of RabbitMQ, for the role daemon."""
    return replace(broker, url=_granted(broker.rabbit, broker.vhost, broker.url, roles))


@pytest.fixture
def shop(admin_vhost_url: str, admin_database_url: str) -> Iterator[Shop]:
    """The virtual host and the database of a test, from outside; every event is kept."""
    one = Shop(admin_vhost_url, admin_database_url)
    one.listen()
    yield one
    one.close()


def _granted(server: RabbitServer, vhost: str, url: str, roles: Roles) -> str:
    if server.management is None:
        # A server of somebody's, where no user can be made.
        return url
    roles.grant_vhost(server, vhost, Role.OWNER, Role.DAEMON, Role.READER)
    return roles.url(url, Role.DAEMON)
