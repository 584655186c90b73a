"""The roles that `orderctl grants` describes, made by running what it prints."""

import json
import os
import secrets
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import make_dsn

from orderd.protocol.roles import Role
from tests.support.orderctl import Ended, Orderctl, orderctl_on
from tools.broker import RabbitServer
from tools.rabbitmq import PrivateRabbit
from tools.servers import Servers

TIMEOUT_S: Final = 120
PASSWORD: Final = secrets.token_hex(8)
# No server is asked: they only have to be addresses.
NOWHERE: Final = {
    "ORDERD_DATABASE_URL": "postgresql://127.0.0.1:1/none",
    "ORDERD_RABBITMQ_URL": "amqp://127.0.0.1:1/%2F",
}


# Which role runs a command of orderctl, as the documentation says; all others are the daemon's.
BY_COMMAND: Final = {
    "migrate": Role.OWNER,
    "prune": Role.OWNER,
    "topology": Role.OWNER,
    "notify": Role.NOTIFY,
}


@dataclass(slots=True)
class Roles:
    """Names for the roles of one run, on whatever databases and virtual hosts they are granted."""

    names: Mapping[Role, str]
    _known_to: list[RabbitServer] = field(default_factory=list)
    _definitions: dict[Role, Any] = field(default_factory=dict)

    def printed(self, *arguments: str, **env: str) -> str:
        """Return what `orderctl grants ARGUMENTS` prints for these names."""
        options = [f"--name={role}={name}" for role, name in self.names.items()]
        ended: Ended = orderctl_on({**NOWHERE, **env})("grants", *options, *arguments)
        assert ended.code == 0, ended.err
        return ended.out

    def url(self, url: str, role: Role) -> str:
        """Return the same address, for a login of *role*."""
        return with_login(url, self.names[role], PASSWORD)

    def orderctl(self, urls: Mapping[str, str], **settings: str) -> Orderctl:
        """Return what runs orderctl at *urls* with *settings*, each command by its role."""

        def run(command: str, *arguments: str, **more: str) -> Ended:
            role = BY_COMMAND.get(command, Role.DAEMON)
            own = {name: self.url(url, role) for name, url in urls.items()}
            return orderctl_on(own | settings)(command, *arguments, **more)

        return run

    def grant_database(self, admin_url: str, *arguments: str) -> str:
        """Run the printed SQL in a database; return what psql says on stderr."""
        said = psql(admin_url, self.printed("--database", *arguments))
        with closing(psycopg2.connect(admin_url)) as session, session, session.cursor() as cursor:
            for name in self.names.values():
                # The part of \\password.
                change = sql.SQL("ALTER ROLE {} PASSWORD {}")
                cursor.execute(change.format(sql.Identifier(name), sql.Literal(PASSWORD)))
        return said

    def grant_vhost(self, server: RabbitServer, vhost: str, *which: Role) -> None:
        """Give the users of these roles, by default of all, their permissions in a virtual host.

        By the printed definitions, which declare the exchanges of topic permissions as well.
        """
        management = server.require_management()
        if server not in self._known_to:
            self._make_users(server)
            self._known_to.append(server)
        for role in which or Role:
            if role not in self._definitions:
                printed = self.printed("--definitions", f"--role={role}")
                self._definitions[role] = json.loads(printed)
            here = {
                kind: [{**each, "vhost": vhost} for each in defined]
                for kind, defined in self._definitions[role].items()
            }
            management.request("POST", "/api/definitions", here)

    def forget(self, servers: Servers) -> None:
        """Drop the roles and users, which hold nothing any more."""
        with closing(psycopg2.connect(servers.postgres.admin_dsn)) as session:
            session.autocommit = True
            with session.cursor() as cursor:
                for name in self.names.values():
                    cursor.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))
        if servers.rabbit in self._known_to:
            for name in self.names.values():
                path = f"/api/users/{quote(name, safe='')}"
                servers.rabbit.require_management().request("DELETE", path)

    def _make_users(self, server: RabbitServer) -> None:
        """Make the users by the printed commands, and set their passwords.

        Other versions get theirs by the management API, which is faster.
        """
        management = server.require_management()
        if isinstance(server, PrivateRabbit) and not self._known_to:
            run_as_printed(server, self.printed("--rabbitmq"))
        for name in self.names.values():
            path = f"/api/users/{quote(name, safe='')}"
            management.request("PUT", path, {"password": PASSWORD, "tags": ""})


@contextmanager
def granted_roles(servers: Servers, prefix: str) -> Iterator[Roles]:
    """Give roles of this run, which are dropped at the end: databases have to be gone by then."""
    roles = Roles({role: f"{prefix} {role}" for role in Role})
    try:
        yield roles
    finally:
        with suppress(psycopg2.OperationalError):
            roles.forget(servers)


def with_login(url: str, user: str, password: str) -> str:
    """Return the same address with another login."""
    if "://" not in url:
        return make_dsn(url, user=user, password=password)
    parts = urlsplit(url)
    login = f"{quote(user, safe='')}:{quote(password, safe='')}"
    return urlunsplit(parts._replace(netloc=f"{login}@{parts.netloc.rpartition('@')[2]}"))


def psql(url: str, script: str) -> str:
    """Run *script* by psql as it is; return what it says on stderr, and fail where it fails."""
    done = subprocess.run(
        ["psql", "-X", "-q", "-d", url, "-f", "-"],
        input=script,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stdout, done.stdout
    return done.stderr


def run_as_printed(node: PrivateRabbit, script: str) -> None:
    """Run *script* by a shell as it is, with a rabbitmqctl that leads to *node*."""
    folder = node.rabbitmqctl_folder()
    done = subprocess.run(
        ["sh"],
        input=script,
        # A node of another release sees its own folder alone.
        env=os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
