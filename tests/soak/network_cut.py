"""A network that can be cut: packets are lost from then on, and neither side is told."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tools.waiting import wait_until

# Addresses that are nobody's, for documentation.
NEAR, FAR = "198.51.100.1", "198.51.100.2"
PORT = 5432
START_TIMEOUT_S = 20


class NetworkCut:
    """A network of its own, in which a relay leads to a server's Unix socket."""

    def __init__(self, server_socket: Path) -> None:
        self._server_socket = server_socket
        self._network = f"orderd-{os.getpid()}"
        self._device = f"od{os.getpid()}"
        self._relay: subprocess.Popen[bytes] | None = None
        self.address = (FAR, PORT)

    def __enter__(self) -> Self:
        if os.geteuid() != 0:
            pytest.skip("only root can make a network")
        laid = _ip("netns", "add", self._network)
        if laid.returncode != 0:
            pytest.skip(f"no network of our own here: {laid.stderr.strip()}")
        try:
            self._connect()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._remove()

    def cut(self) -> None:
        _must("-n", self._network, "link", "set", self._device, "down")

    def restore(self) -> None:
        _must("-n", self._network, "link", "set", self._device, "up")

    def _connect(self) -> None:
        near = f"{self._device}n"
        _must(
            *("link", "add", near, "type", "veth"),
            *("peer", "name", self._device, "netns", self._network),
        )
        _must("addr", "add", f"{NEAR}/30", "dev", near)
        _must("link", "set", near, "up")
        _must("-n", self._network, "addr", "add", f"{FAR}/30", "dev", self._device)
        self.restore()
        relay = [
            sys.executable,
            "-m",
            "tests.support.tcp_proxy",
            FAR,
            str(PORT),
            str(self._server_socket),
        ]
        self._relay = subprocess.Popen(["ip", "netns", "exec", self._network, *relay])
        wait_until(self._is_up, timeout_s=START_TIMEOUT_S, what="the relay")

    def _is_up(self) -> bool:
        try:
            socket.create_connection(self.address, timeout=1).close()
        except OSError:
            return False
        return True

    def _remove(self) -> None:
        if self._relay is not None:
            self._relay.kill()
            self._relay.wait()
        # The devices go with the network at the far end.
        _ip("netns", "delete", self._network)


def _ip(*args: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(["ip", *args], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("ip (of iproute2) is not installed")


def _must(*args: str) -> None:
    done = _ip(*args)
    assert done.returncode == 0, f"ip {' '.join(args)}: {done.stderr}"
