"""A TCP gate in front of a server: shut, cut, reset, slow or silent, as a wire can be."""

import select
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Self
from urllib.parse import urlsplit, urlunsplit

from tools.ports import free_ports

CHUNK_BYTES = 65_536
SLICE_S = 0.05
# Closing with this pending sends RST instead of FIN.
RESET = struct.pack("ii", 1, 0)


class Wire:
    """One client's connection through the gate."""

    def __init__(self, gate: "Gate", client: socket.socket, server: socket.socket) -> None:
        self._gate = gate
        self._client = client
        self._server = server
        self.is_ended = False
        self.is_forgotten = False

    def start(self) -> None:
        """Carry bytes both ways, in threads, until one side or the gate ends it."""
        ways = ((self._client, self._server, True), (self._server, self._client, False))
        for way in ways:
            threading.Thread(target=self._carry, args=way, daemon=True).start()

    def send_up(self, piece: bytes) -> None:
        """Send bytes to the server, besides those that are carried."""
        with suppress(OSError):
            self._server.sendall(piece)

    def end(self, *, reset: bool = False) -> None:
        """End both sides; with `reset` by RST, as a machine does that knows nothing of them."""
        self.is_ended = True
        for side in (self._client, self._server):
            end(side, reset=reset)

    def _carry(self, source: socket.socket, sink: socket.socket, is_up: bool) -> None:  # noqa: FBT001 - args of a thread
        tap = self._gate.tap_up if is_up else self._gate.tap_down
        with suppress(OSError, ValueError):
            while chunk := self._next_chunk(source):
                self._gate.hold(self)
                if self.is_ended:
                    break
                if piece := tap(self, chunk):
                    sink.sendall(piece)
        self.end()

    def _next_chunk(self, source: socket.socket) -> bytes:
        # Whoever waits in `recv` keeps a socket from being reset, so wait beside it, in slices.
        while not select.select([source], [], [], SLICE_S)[0]:
            if self.is_ended:
                return b""
        return source.recv(CHUNK_BYTES)


class Gate:
    """A port of its own that leads to the server of a URL once it is opened.

    `delay_s` is what each piece waits on its way. A subclass may look at the bytes, and change
    them: `tap_up` sees those to the server, `tap_down` those to the client.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 0)
        (self._port,) = free_ports(1)
        user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
        self.url = urlunsplit(parts._replace(netloc=f"{user}127.0.0.1:{self._port}"))
        self.delay_s = 0.0
        self._is_silent = False
        self._listener: socket.socket | None = None
        self._wires: list[Wire] = []
        self._changing = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.shut()

    def open(self) -> None:
        """Listen from now on."""
        self._is_silent = False
        listener = self._listener = socket.create_server(("127.0.0.1", self._port))
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def shut(self) -> None:
        """Cut every connection, and listen no more."""
        with self._changing:
            listener, self._listener = self._listener, None
        if listener is not None:
            end(listener)
        self.cut()

    def cut(self, *, reset: bool = False) -> None:
        """Cut every connection; new ones are taken at once."""
        with self._changing:
            wires, self._wires = self._wires, []
        for wire in wires:
            wire.end(reset=reset)

    def silence(self) -> None:
        """Carry nothing any more, and keep everything open: neither side is told."""
        self._is_silent = True

    def speak(self) -> None:
        """Carry again, what was held back first."""
        self._is_silent = False

    def forget(self) -> None:
        """Carry nothing any more for the connections there are, as a firewall that forgot them."""
        with self._changing:
            for wire in self._wires:
                wire.is_forgotten = True

    def tap_up(self, _wire: Wire, chunk: bytes) -> bytes:
        """Return what is to go on of the bytes that a client sent."""
        return chunk

    def tap_down(self, _wire: Wire, chunk: bytes) -> bytes:
        """Return what is to go on of the bytes that the server sent."""
        return chunk

    def hold(self, wire: Wire) -> None:
        """Return once a piece may go on, or its connection has ended."""
        threading.Event().wait(self.delay_s)
        while (self._is_silent or wire.is_forgotten) and not wire.is_ended:
            threading.Event().wait(SLICE_S)

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                self._connect(listener, client)

    def _connect(self, listener: socket.socket, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._target)
        except OSError:
            end(client)
            return
        wire = Wire(self, client, server)
        with self._changing:
            is_shut = self._listener is not listener
            self._wires += [] if is_shut else [wire]
        if is_shut:
            wire.end()
        else:
            wire.start()


@contextmanager
def gate_before(url: str) -> Iterator[Gate]:
    """Give a gate, shut at first and shut again at the end."""
    with Gate(url) as gate:
        yield gate


def end(connection: socket.socket, *, reset: bool = False) -> None:
    """Close a socket, and wake whoever waits in it."""
    with suppress(OSError):
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        else:
            # Closing alone does not wake a thread that waits in `recv` or `accept`.
            connection.shutdown(socket.SHUT_RDWR)
    connection.close()
