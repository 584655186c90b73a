"""RabbitMQ and PostgreSQL for a while: private ones, or those that the environment names."""

import os
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import pika
import psycopg2
from pika.exceptions import AMQPError

from tools import remains
from tools.broker import RabbitServer, ServerRefused, existing_queues
from tools.database import PostgresServer, first_table
from tools.installation import HERE, Installation
from tools.interrupts import terminable, uninterrupted
from tools.management import Management
from tools.postgresql import PrivatePostgres
from tools.rabbitmq import PrivateRabbit


class Servers:
    """A context in which `rabbit` and `postgres` are up.

    Private servers are those of the installation; they are stopped, and their folder removed,
    however the context is left. `fsync` False is for tests, which need speed and no safety from
    power cuts.
    """

    rabbit: RabbitServer
    postgres: PostgresServer
    scratch: Path

    def __init__(self, *, fsync: bool = True, installation: Installation = HERE) -> None:
        self._fsync = fsync
        self._installation = installation
        self._cleanup = ExitStack()
        self.are_private = _are_private()

    def __enter__(self) -> Self:
        self._cleanup.enter_context(terminable())
        try:
            remains.clear()
            self.scratch = Path(tempfile.mkdtemp(prefix=remains.PREFIX))
            self._cleanup.callback(shutil.rmtree, self.scratch, ignore_errors=True)
            remains.mark(self.scratch)
            self.scratch.chmod(0o711)  # the user postgres has to get through
            if self.are_private:
                self._start()
            else:
                self._find()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop()

    def refuse_used(self) -> None:
        """Raise ServerRefused when the servers hold anybody's tables or messages."""
        table = first_table(self.postgres.url())
        if table is not None:
            raise ServerRefused(
                f"the database of DATABASE_URL already has tables ({table}): give an empty one"
            )
        for queue, (ready, consumers) in existing_queues(self.rabbit.url()).items():
            if ready or consumers:
                raise ServerRefused(
                    f"the queue {queue!r} of RABBITMQ_URL is in use "
                    f"({ready} messages, {consumers} consumers)"
                )

    def _start(self) -> None:
        installation = self._installation
        rabbit = PrivateRabbit(self.scratch / "rabbitmq", installation)
        postgres = PrivatePostgres(
            self.scratch / "postgresql", fsync=self._fsync, installation=installation
        )
        self._cleanup.callback(rabbit.close)
        self._cleanup.callback(postgres.close)
        self.rabbit, self.postgres = rabbit, postgres
        # RabbitMQ takes longest; PostgreSQL is up before it.
        rabbit.spawn()
        postgres.start()
        rabbit.await_ready()

    def _find(self) -> None:
        self.rabbit = given_rabbit()
        self.postgres = given_postgres()

    def _stop(self) -> None:
        # A second Ctrl-C must not leave a server behind: ending them is quick and bounded.
        with uninterrupted():
            self._cleanup.close()


def given_rabbit() -> RabbitServer:
    """Return the server of RABBITMQ_URL; ServerRefused when it does not answer."""
    url = os.environ["RABBITMQ_URL"].split(",")[0].strip()
    try:
        pika.BlockingConnection(pika.URLParameters(url)).close()
    except (AMQPError, OSError, ValueError) as error:
        raise ServerRefused(f"RABBITMQ_URL: no connection ({type(error).__name__})") from error
    management_url = os.environ.get("RABBITMQ_MANAGEMENT_URL")
    if management_url is None:
        return RabbitServer(url, None)
    management = Management(management_url)
    if not management.is_reachable():
        raise ServerRefused("RABBITMQ_MANAGEMENT_URL: no answer to an administrator there")
    return RabbitServer(url, management)


def given_postgres() -> PostgresServer:
    """Return the server of DATABASE_URL; ServerRefused when it does not answer."""
    dsn = os.environ["DATABASE_URL"]
    try:
        psycopg2.connect(dsn).close()
    except psycopg2.Error as error:
        raise ServerRefused(f"DATABASE_URL: no connection ({type(error).__name__})") from error
    return PostgresServer(dsn)


def _are_private() -> bool:
    given = [name for name in ("RABBITMQ_URL", "DATABASE_URL") if os.environ.get(name)]
    if len(given) == 1:
        raise ServerRefused(
            f"only {given[0]} is set: set RABBITMQ_URL and DATABASE_URL to use your servers, "
            "or neither for private ones"
        )
    return not given
