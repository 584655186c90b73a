"""A private PostgreSQL server: own folder, own port; nothing is left of it at the end."""

import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import psycopg2

from tools.database import PostgresServer, is_ready
from tools.installation import HERE, Installation, newest
from tools.ports import free_ports
from tools.program import Program, StartFailed, tail
from tools.waiting import NotObserved, wait_until

START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 60
STOP_SIGNALS = {
    "smart": signal.SIGTERM,
    "fast": signal.SIGINT,
    "immediate": signal.SIGQUIT,
    "kill": signal.SIGKILL,
}


class PrivatePostgres(PostgresServer):
    """A server with all of its files in `scratch`, on 127.0.0.1 and a socket in that folder.

    `fsync=False` is for tests: commits need not survive a power cut there, only a kill -9.
    `settings` are further ones of the server's own.
    """

    def __init__(
        self,
        scratch: Path,
        *,
        fsync: bool = True,
        settings: Mapping[str, str] | None = None,
        installation: Installation = HERE,
    ) -> None:
        self._scratch = scratch
        self._installation = installation
        self._bin = bin_directory(installation)
        self._fsync = fsync
        self._settings = dict(settings or {})
        (self.port,) = free_ports(1)
        super().__init__(f"postgresql://postgres@127.0.0.1:{self.port}/postgres")
        self.socket_directory = scratch
        self.data_directory = scratch / "data"
        self.log_path = scratch / "postgresql.log"
        # initdb and postgres refuse to run as root.
        self._user = "postgres" if os.geteuid() == 0 else None
        self._server: Program | None = None

    @property
    def pid(self) -> int | None:
        """The postmaster's pid, None while it is stopped."""
        return self._server.pid if self._server is not None else None

    def start(self) -> None:
        """Start, or start again on the same data and port; return when clients are served."""
        if not (self.data_directory / "PG_VERSION").exists():
            self._initialise()
        server = self._server = Program(
            self._command("postgres", *self._options()),
            env=os.environ | {"LC_ALL": "C.UTF-8"},
            log_path=self.log_path,
            cwd=self._scratch,
        )

        def ready_or_dead() -> bool:
            return not server.is_running or is_ready(self.admin_dsn)

        try:
            wait_until(ready_or_dead, timeout_s=START_TIMEOUT_S, what="PostgreSQL ready")
        except NotObserved as error:
            raise StartFailed(f"{error}\n{tail(self.log_path)}") from error
        if not server.is_running:
            raise StartFailed(f"PostgreSQL ended while it started:\n{tail(self.log_path)}")

    def stop(self, mode: str = "fast") -> None:
        """Stop (`smart`, `fast`, `immediate` or `kill`); data stays, `start` goes on with it."""
        if self._server is not None:
            self._server.end(STOP_SIGNALS[mode], STOP_TIMEOUT_S)
            self._server = None

    def restart(self, mode: str = "fast") -> None:
        """Stop and start again on the same data and port."""
        self.stop(mode)
        self.start()

    def add_standby(self, scratch: Path) -> "PrivatePostgres":
        """Return a server that follows this one, started, on a copy of its data."""
        standby = PrivatePostgres(
            scratch,
            fsync=self._fsync,
            settings=self._settings,
            installation=self._installation,
        )
        standby.copy_of(self)
        standby.start()
        return standby

    def copy_of(self, primary: "PrivatePostgres") -> None:
        """Take over the data of a server, and follow it from the first start on."""
        self._own_scratch()
        self._run_tool(
            "pg_basebackup",
            f"--pgdata={self.data_directory}",
            f"--dbname={primary.admin_dsn}",
            "--write-recovery-conf",
            "--checkpoint=fast",
        )

    def promote(self) -> None:
        """Make a standby the primary; return when it takes writes."""
        self.run("SELECT pg_promote()")

    def run(self, *statements: str) -> None:
        """Run statements as the superuser, each on its own, whether or not writing is the rule."""
        with closing(psycopg2.connect(self.admin_dsn)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                for statement in ("SET default_transaction_read_only = off", *statements):
                    cursor.execute(statement)

    def close(self) -> None:
        """End the server at once, for good."""
        self.stop("immediate")

    def _options(self) -> list[str]:
        switch = "on" if self._fsync else "off"
        settings = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.socket_directory),
            "fsync": switch,
            "full_page_writes": switch,
            "log_lock_waits": "on",
            "log_line_prefix": "%m [%p] %d %a ",
            "logging_collector": "off",
        }
        options = [f"--{name}={value}" for name, value in (settings | self._settings).items()]
        return ["-D", str(self.data_directory), *options]

    def _initialise(self) -> None:
        self._own_scratch()
        self._run_tool(
            "initdb",
            f"--pgdata={self.data_directory}",
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        )

    def _own_scratch(self) -> None:
        self._scratch.mkdir(parents=True, exist_ok=True)
        if self._user is not None:
            os.chown(self._scratch, self._installation.user_id(self._user), -1)

    def _run_tool(self, name: str, *args: str) -> None:
        done = subprocess.run(
            self._command(name, *args),
            cwd=self._scratch,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise StartFailed(f"{name} failed:\n{done.stdout}{done.stderr}")

    def _command(self, name: str, *args: str) -> tuple[str, ...]:
        argv = (str(self._bin / name), *args)
        return self._installation.command(argv, scratch=self._scratch, user=self._user)


def bin_directory(installation: Installation = HERE) -> Path:
    """Return the folder of the newest installed server; StartFailed when there is none."""
    found = installation.glob("usr/lib/postgresql/*/bin/postgres")
    beside = installation.which("postgres")
    if not found and beside is not None:
        found = [Path(beside)]
    if not found:
        raise StartFailed("PostgreSQL is not installed (apt-get install postgresql)")
    if os.geteuid() == 0:
        _require_user(installation, "postgres")
    return newest([path.parent for path in found])


def _require_user(installation: Installation, name: str) -> None:
    try:
        installation.user_id(name)
    except KeyError as error:
        raise StartFailed(f"there is no user {name!r}, and PostgreSQL refuses root") from error
