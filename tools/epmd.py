"""The name server of private RabbitMQ nodes; nodes of one cluster share one."""

import os
import signal
from pathlib import Path

from tools.installation import HERE, Installation
from tools.ports import free_ports
from tools.program import Program, StartFailed


class Epmd:
    """An epmd on 127.0.0.1, started when it is first asked for.

    The one that Erlang would start by itself outlives the node.
    """

    def __init__(self, scratch: Path, installation: Installation = HERE) -> None:
        self._scratch = scratch
        self._installation = installation
        (self.port,) = free_ports(1)
        self._program: Program | None = None

    def start(self) -> None:
        """Start it, unless that was done."""
        if self._program is not None:
            return
        epmd = self._installation.which("epmd")
        if epmd is None:
            raise StartFailed("epmd is not installed (it comes with Erlang)")
        self._scratch.mkdir(parents=True, exist_ok=True)
        argv = [epmd, "-port", str(self.port), "-address", "127.0.0.1"]
        self._program = Program(
            self._installation.command(argv, scratch=self._scratch),
            env=os.environ,
            log_path=self._scratch / "epmd.log",
            cwd=self._scratch,
        )

    def close(self) -> None:
        """End it, for good."""
        if self._program is not None:
            self._program.end(signal.SIGTERM, timeout_s=5)
            self._program = None
