"""A private pgbouncer before a PostgreSQL server: own folder, own port; nothing is left of it."""

import os
import shutil
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

import pytest

from tools.database import is_ready
from tools.installation import HERE
from tools.ports import free_ports
from tools.postgresql import PrivatePostgres
from tools.program import Program, StartFailed, tail
from tools.servers import Servers
from tools.waiting import NotObserved, wait_until

START_TIMEOUT_S = 30
STOP_TIMEOUT_S = 30
# The smallest pool: whoever comes is given the session of whoever was there before.
POOL_SIZE = 1


class PgBouncer:
    """A pooler of the databases of one server, in `transaction` or `session` mode.

    `urls` lead there, for all users who may use it.
    """

    def __init__(
        self, scratch: Path, urls: Sequence[str], mode: str, *, pool_size: int = POOL_SIZE
    ) -> None:
        self._scratch = scratch
        self._server = urlsplit(urls[0])
        self._users = {unquote(urlsplit(url).username or "postgres") for url in urls}
        self.mode = mode
        self._pool_size = pool_size
        (self._port,) = free_ports(1)
        self._log_path = scratch / "pgbouncer.log"
        # It refuses to run as root.
        self._user = "postgres" if os.geteuid() == 0 else None
        self._pooler: Program | None = None

    def url(self, url: str) -> str:
        """Return the way to the database of `url` that leads through the pool."""
        parts = urlsplit(url)
        user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
        return urlunsplit(parts._replace(netloc=f"{user}127.0.0.1:{self._port}"))

    def start(self) -> None:
        """Start, or start again on the same port; return when the server is reached through it."""
        self._configure()
        argv = (str(program()), "-q", str(self._scratch / "pgbouncer.ini"))
        pooler = self._pooler = Program(
            HERE.command(argv, scratch=self._scratch, user=self._user),
            env=os.environ,
            log_path=self._log_path,
            cwd=self._scratch,
        )
        dsn = self.url(urlunsplit(self._server))

        def ready_or_dead() -> bool:
            return not pooler.is_running or is_ready(dsn)

        try:
            wait_until(ready_or_dead, timeout_s=START_TIMEOUT_S, what="pgbouncer ready")
        except NotObserved as error:
            raise StartFailed(f"{error}\n{tail(self._log_path)}") from error
        if not pooler.is_running:
            raise StartFailed(f"pgbouncer ended while it started:\n{tail(self._log_path)}")

    def kill(self) -> None:
        """End it at once: every connection through it is cut."""
        if self._pooler is not None:
            self._pooler.end(signal.SIGKILL, STOP_TIMEOUT_S)
            self._pooler = None

    def restart(self) -> None:
        """Cut every connection, and take new ones on the same port."""
        self.kill()
        self.start()

    def _configure(self) -> None:
        self._scratch.mkdir(parents=True, exist_ok=True)
        users = self._scratch / "users.txt"
        users.write_text("".join(f'"{user}" ""\n' for user in self._users))
        settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": self._port,
            "unix_socket_dir": "",
            "auth_type": "trust",
            "auth_file": users,
            "pool_mode": self.mode,
            "default_pool_size": self._pool_size,
        }
        lines = [f"{name} = {value}" for name, value in settings.items()]
        server = f"* = host={self._server.hostname} port={self._server.port}"
        text = "\n".join(["[databases]", server, "[pgbouncer]", *lines, ""])
        (self._scratch / "pgbouncer.ini").write_text(text)
        if self._user is not None:
            shutil.chown(self._scratch, self._user, self._user)


@contextmanager
def pgbouncer_before(
    servers: Servers, database_url: str, mode: str, *, pool_size: int = POOL_SIZE
) -> Iterator[PgBouncer]:
    """Give a pooler, started, for one test on its database; skip the test where there is none."""
    if program() is None:
        pytest.skip("pgbouncer is not installed (apt-get install pgbouncer)")
    if not isinstance(servers.postgres, PrivatePostgres):
        pytest.skip("a pooler needs a server that trusts it")
    scratch = servers.scratch / f"pgbouncer-{database_url.rpartition('/')[2]}"
    urls = (servers.postgres.url(), database_url)
    pooler = PgBouncer(scratch, urls, mode, pool_size=pool_size)
    try:
        pooler.start()
        yield pooler
    finally:
        pooler.kill()


def program() -> str | None:
    """Return where pgbouncer is, None where it is not installed."""
    return HERE.which("pgbouncer")
