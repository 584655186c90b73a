"""Fixtures: a database and a virtual host on which the roles are granted what is printed."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pika
import psycopg2
import pytest
from pika.adapters.blocking_connection import BlockingChannel

from orderd.protocol.roles import Role
from tests.conftest import RUN_NAME, SERIAL
from tests.support.grants import Roles
from tests.support.versions import Broker
from tools.servers import Servers

Open = Callable[[Role], Callable[[], BlockingChannel]]


@pytest.fixture(scope="module")
def granted_url(servers: Servers, granted_database: str) -> Iterator[str]:
    """The superuser's URL of a copy of the database that is granted to the roles."""
    name = f"{RUN_NAME}_{next(SERIAL)}"
    yield servers.postgres.create_database(name, template=granted_database)
    servers.postgres.drop_database(name)


@pytest.fixture(scope="module")
def sessions(granted_url: str, roles: Roles) -> Iterator[dict[Role, Any]]:
    """A session of each role, whose statements are committed one by one."""
    found = {role: psycopg2.connect(roles.url(granted_url, role)) for role in Role}
    for session in found.values():
        session.autocommit = True
    yield found
    for session in found.values():
        session.close()


@pytest.fixture
def open_as(broker: Broker, roles: Roles) -> Iterator[Open]:
    """Give what opens channels of a role to the virtual host of `broker`, which is granted."""
    roles.grant_vhost(broker.rabbit, broker.vhost)
    with ExitStack() as stack:

        def channels_of(role: Role) -> Callable[[], BlockingChannel]:
            where = pika.URLParameters(roles.url(broker.url, role))
            return stack.enter_context(pika.BlockingConnection(where)).channel

        yield channels_of
