"""A TCP gate in front of a server: while it is shut, nobody listens there."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit, urlunsplit

from tests.harness.ports import free_ports

CHUNK_BYTES = 65_536


class Gate:
    """A port of its own that leads to the server of a URL once it is opened."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 0)
        (self._port,) = free_ports(1)
        user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
        self.url = urlunsplit(parts._replace(netloc=f"{user}127.0.0.1:{self._port}"))
        self._listener: socket.socket | None = None
        self._connections: list[socket.socket] = []
        self._changing = threading.Lock()

    def open(self) -> None:
        """Listen from now on."""
        listener = self._listener = socket.create_server(("127.0.0.1", self._port))
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def shut(self) -> None:
        """Cut every connection, and listen no more."""
        with self._changing:
            listener, self._listener = self._listener, None
            connections, self._connections = self._connections, []
        for one in (listener, *connections):
            if one is not None:
                _end(one)

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                self._connect(listener, client)

    def _connect(self, listener: socket.socket, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._target)
        except OSError:
            _end(client)
            return
        with self._changing:
            is_shut = self._listener is not listener
            self._connections += [] if is_shut else [client, server]
        if is_shut:
            _end(client)
            _end(server)
            return
        for pair in ((client, server), (server, client)):
            threading.Thread(target=_carry, args=pair, daemon=True).start()


@contextmanager
def gate_before(url: str) -> Iterator[Gate]:
    """Give a gate, shut at first and shut again at the end."""
    gate = Gate(url)
    try:
        yield gate
    finally:
        gate.shut()


def _carry(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while chunk := source.recv(CHUNK_BYTES):
            sink.sendall(chunk)
    _end(source)
    _end(sink)


def _end(connection: socket.socket) -> None:
    # Closing alone does not wake a thread that waits in `recv` or `accept`.
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
