"""Three RabbitMQ nodes on this machine, joined to one cluster."""

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import quote

from tests.support.versions import installation_with
from tools.epmd import Epmd
from tools.installation import Installation
from tools.interrupts import terminable, uninterrupted
from tools.management import ManagementFault
from tools.rabbitmq import PrivateRabbit
from tools.waiting import wait_until

NODES: Final = 3
WHOLE_TIMEOUT_S: Final = 120.0
NOT_CRITICAL: Final = "/api/health/checks/node-is-quorum-critical"


class Cluster:
    """A context in which three nodes are up, with all their files in `scratch`.

    Each of them may be stopped, killed and started like any other private node.
    """

    def __init__(self, scratch: Path, installation: Installation) -> None:
        self._scratch = scratch
        self._installation = installation
        self._cleanup = ExitStack()
        self.nodes: list[PrivateRabbit] = []

    def __enter__(self) -> Self:
        self._cleanup.enter_context(terminable())
        try:
            self._make_nodes()
            self.start()
            self._join()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close()

    @property
    def first(self) -> PrivateRabbit:
        """A node that is up."""
        return next(one for one in self.nodes if one.pid is not None)

    def urls(self, vhost: str) -> str:
        """Return the URLs of all nodes, separated by commas."""
        return ",".join(one.url(vhost) for one in self.nodes)

    def start(self) -> None:
        """Start all nodes that are down, side by side: alone, none of them gets ready."""
        down = [one for one in self.nodes if one.pid is None]
        for one in down:
            one.spawn()
        for one in down:
            one.await_ready()

    def leader(self, vhost: str, queue: str) -> PrivateRabbit:
        """Return the node that leads a quorum queue now."""
        path = f"/api/queues/{quote(vhost, safe='')}/{queue}"

        def led_by() -> PrivateRabbit | None:
            name = self.first.require_management().request("GET", path).get("leader")
            return next((one for one in self.nodes if one.name == name and one.pid), None)

        found = wait_until(led_by, timeout_s=WHOLE_TIMEOUT_S, what=f"a leader of {queue}")
        assert found is not None
        return found

    def wait_whole(self) -> None:
        """Return when no quorum queue would be without its majority if one node went away."""
        wait_until(self._is_whole, timeout_s=WHOLE_TIMEOUT_S, what="all members of all queues")

    def _is_whole(self) -> bool:
        try:
            for one in self.nodes:
                one.require_management().request("GET", NOT_CRITICAL)
        except ManagementFault:
            return False
        return True

    def _make_nodes(self) -> None:
        epmd = Epmd(self._scratch / "epmd", self._installation)
        self._cleanup.callback(epmd.close)
        cookie = secrets.token_hex(10)
        for number in range(NODES):
            scratch = self._scratch / f"node-{number}"
            one = PrivateRabbit(scratch, self._installation, epmd)
            self._cleanup.callback(one.close)
            path = scratch / "home" / ".erlang.cookie"
            path.write_text(cookie)
            path.chmod(0o400)
            self.nodes.append(one)

    def _join(self) -> None:
        first, *others = self.nodes
        for one in others:
            one.ctl("stop_app")
            one.ctl("join_cluster", first.name)
            one.ctl("start_app")
            one.await_ready()

    def _close(self) -> None:
        with uninterrupted():
            self._cleanup.close()


@contextmanager
def cluster_of(version: str) -> Iterator[Cluster]:
    """Give a cluster of that version of RabbitMQ; NotHere where there cannot be one."""
    installation = installation_with(version)
    scratch = Path(tempfile.mkdtemp(prefix="orderd-"))
    try:
        with Cluster(scratch, installation) as running:
            yield running
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
