"""Fixtures: a mail server, and daemons that send notifications by it."""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import pytest

from orderd.protocol.roles import Role
from tests.acceptance.notify.office import Office, mail_to_admins, mail_to_users
from tests.acceptance.shop import Shop
from tests.conftest import StartDaemonOn
from tests.support.grants import Roles
from tests.support.mail_server import MailServer
from tools.daemon import NOTIFY_PROGRAM, DaemonProcess
from tools.servers import Servers


class StartNotifier(Protocol):
    """Starts one more orderd-notify for this test, with these channels, by default for mail.

    With a *config*, the channels are those of that file.
    """

    def __call__(
        self,
        *channels: Mapping[str, Any],
        ready: bool = True,
        config: Path | None = None,
        **settings: object,
    ) -> DaemonProcess: ...


@pytest.fixture
def mail() -> Iterator[MailServer]:
    """A mail server, up."""
    with MailServer() as server:
        yield server


@pytest.fixture
def notify_urls(
    roles: Roles, servers: Servers, vhost: str, vhost_url: str, database_url: str
) -> dict[str, str]:
    """The settings that lead the role notify to this test's virtual host and database."""
    has_users = servers.rabbit.management is not None
    if has_users:
        roles.grant_vhost(servers.rabbit, vhost, Role.NOTIFY)
    return {
        "rabbitmq_url": roles.url(vhost_url, Role.NOTIFY) if has_users else vhost_url,
        "database_url": roles.url(database_url, Role.NOTIFY),
    }


@pytest.fixture
def notifier(
    daemon_on: StartDaemonOn, notify_urls: dict[str, str], mail: MailServer
) -> StartNotifier:
    """Start daemons on this test's database, virtual host and mail server."""
    start: Callable[..., DaemonProcess] = partial(
        daemon_on,
        notify_urls["rabbitmq_url"],
        program=NOTIFY_PROGRAM,
        database_url=notify_urls["database_url"],
    )

    def start_with(
        *channels: Mapping[str, Any],
        ready: bool = True,
        config: Path | None = None,
        **settings: object,
    ) -> DaemonProcess:
        if config is not None:
            return start(ready=ready, args=("--config", str(config)), **settings)
        chosen = channels or (mail_to_users(mail), mail_to_admins(mail))
        return start(ready=ready, notify__channel=json.dumps(chosen), **settings)

    return start_with


@pytest.fixture
def office(shop: Shop, admin_vhost_url: str) -> Iterator[Office]:
    """Users, and a service that publishes what is to be told."""
    shop.query(
        "INSERT INTO users (username, email, is_active) "
        "VALUES ('ann', 'ann@example.org', true), ('bob', 'bob@example.org', false)"
    )
    one = Office(shop, admin_vhost_url)
    yield one
    one.close()
