"""RabbitMQ nodes of several versions, side by side."""

import os
import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tools.installation import HERE, Installation
from tools.interrupts import terminable, uninterrupted
from tools.rabbitmq import PrivateRabbit, rabbitmq_series
from tools.server_root import SUITES, server_root

SUITE_VARIABLE: Final = "ORDERD_TEST_SUITE"


class NotHere(RuntimeError):
    """A version of a server cannot be had on this machine; the text is one line that says why."""


@dataclass(frozen=True, slots=True)
class Broker:
    """A virtual host of a test, on a node of the version that the test asked for."""

    version: str
    rabbit: PrivateRabbit
    vhost: str
    url: str

    @property
    def admin_url(self) -> str:
        """The URL for the user who may do everything there."""
        return self.rabbit.url(self.vhost)


class Brokers:
    """A context in which nodes of any version are started as they are asked for.

    `given` is the node of all other tests, if it is private; it serves its own version too.
    """

    def __init__(self, given: PrivateRabbit | None) -> None:
        self._given = given
        self._cleanup = ExitStack()
        self._nodes: dict[str, PrivateRabbit] = {}

    def __enter__(self) -> Self:
        self._cleanup.enter_context(terminable())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with uninterrupted():
            self._cleanup.close()

    def node(self, version: str) -> PrivateRabbit:
        """Return the running node of a version such as "4.0"; NotHere where there cannot be one."""
        if self._given is not None and self._given.series == version:
            return self._given
        if version not in self._nodes:
            self._nodes[version] = self._started(installation_with(version))
        return self._nodes[version]

    def _started(self, installation: Installation) -> PrivateRabbit:
        scratch = Path(tempfile.mkdtemp(prefix="orderd-"))
        self._cleanup.callback(shutil.rmtree, scratch, ignore_errors=True)
        node = PrivateRabbit(scratch / "rabbitmq", installation)
        self._cleanup.callback(node.close)
        node.start()
        return node


def installation_with(version: str) -> Installation:
    """Return an installation with that RabbitMQ: this machine's, or a root file system's."""
    if rabbitmq_series(HERE) == version:
        return HERE
    suite = SUITES[version]
    found = installation_of(suite)
    series = rabbitmq_series(found)
    if series != version:
        raise NotHere(f"{suite} has RabbitMQ {series} now, not {version}")
    return found


def installation_of(suite: str) -> Installation:
    """Return the servers of a Debian suite; NotHere where they cannot be had."""
    root = server_root(suite)
    if isinstance(root, str):
        raise NotHere(root)
    return Installation(root)


def chosen_installation() -> Installation:
    """Return the servers that ORDERD_TEST_SUITE names, those of this machine where it is unset."""
    suite = os.environ.get(SUITE_VARIABLE)
    return installation_of(suite) if suite else HERE
