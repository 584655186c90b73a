"""Counts what this process hands over to its sockets, and names what that was in AMQP."""

import socket
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from pika import frame


@dataclass(slots=True)
class Send:
    """What was handed over at once: its bytes, and how often each method was complete with it."""

    size: int = 0
    methods: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        named = ", ".join(f"{count} x {name}" for name, count in self.methods.items())
        return f"{named or 'part of a frame'}, {self.size} bytes"


@dataclass(slots=True)
class _Connection:
    """Where one connection's bytes stand: those of no whole frame yet, and the send under way."""

    unread: bytes = b""
    partial: Send | None = None


class Sends:
    """The calls of `send` to *port*, in order.

    One that goes on with what the socket did not take before belongs to the call before it: how
    much a socket takes is no doing of this process.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._connections: dict[int, _Connection] = {}
        self.calls: list[Send] = []

    def is_of(self, one: socket.socket) -> bool:
        return one.family == socket.AF_INET and one.getpeername()[1] == self._port

    def note(self, one: socket.socket, data: bytes, taken: int) -> None:
        """Note that *one* was given *data* and took so many bytes of it."""
        connection = self._connections.setdefault(one.getsockname()[1], _Connection())
        send = connection.partial
        if send is None:
            send = Send()
            self.calls.append(send)
        send.size += taken
        connection.unread += data[:taken]
        while (found := frame.decode_frame(connection.unread))[1] is not None:
            connection.unread = connection.unread[found[0] :]
            if isinstance(found[1], frame.Method):
                send.methods[found[1].method.NAME] += 1
            elif not isinstance(found[1], frame.Header | frame.Body):
                send.methods[found[1].NAME] += 1
        connection.partial = send if taken < len(data) else None


def counted_sends(monkeypatch: pytest.MonkeyPatch, port: int) -> Sends:
    """Return where each `send` of this process to *port* is noted from now on."""
    sends = Sends(port)
    plain = socket.socket.send

    def send(one: socket.socket, data: bytes, *flags: Any) -> int:
        taken = plain(one, data, *flags)
        if sends.is_of(one):
            sends.note(one, data, taken)
        return taken

    monkeypatch.setattr(socket.socket, "send", send)
    return sends
