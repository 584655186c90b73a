"""Counts what this process hands over to its sockets."""

import socket
from dataclasses import dataclass, field
from typing import Any

import pytest


@dataclass(slots=True)
class Sends:
    """The number of bytes of each `send` to one port, in order."""

    port: int
    sizes: list[int] = field(default_factory=list)


def counted_sends(monkeypatch: pytest.MonkeyPatch, port: int) -> Sends:
    """Return where each `send` of this process to *port* is noted from now on."""
    sends = Sends(port)
    plain = socket.socket.send

    def send(one: socket.socket, data: bytes, *flags: Any) -> int:
        size = plain(one, data, *flags)
        if one.family == socket.AF_INET and one.getpeername()[1] == sends.port:
            sends.sizes.append(size)
        return size

    monkeypatch.setattr(socket.socket, "send", send)
    return sends
