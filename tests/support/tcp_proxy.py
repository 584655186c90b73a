"""A TCP proxy in front of a server: shut, cut, reset, slow, silent or deaf, as a network can be.

`python -m tests.support.tcp_proxy HOST PORT SOCKET` leads from a TCP port to a Unix socket.
"""

import select
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from struct import pack
from typing import Self
from urllib.parse import urlsplit, urlunsplit

from tools.ports import free_ports

CHUNK_BYTES = 65_536
SLICE_S = 0.05
HANDSHAKE_TIMEOUT_S = 20
# Closing with this pending sends RST instead of FIN.
RESET = pack("ii", 1, 0)


class ProxiedConnection:
    """One client's connection through the proxy."""

    def __init__(
        self, proxy: "TcpProxy", client: socket.socket, server: socket.socket, number: int
    ) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        # Two threads must not use one TLS session at the same time.
        self._session = threading.Lock()
        self.number = number
        self.is_ended = False
        self.is_forgotten = False

    def start(self) -> None:
        """Carry bytes both ways, in threads, until one side or the proxy ends it."""
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
        tap = self._proxy.tap_up if is_up else self._proxy.tap_down
        with suppress(OSError, ValueError):
            while chunk := self._next_chunk(source):
                self._proxy.hold(self)
                if self.is_ended:
                    break
                if piece := tap(self, chunk):
                    self._send(sink, piece)
        self.end()

    def _next_chunk(self, source: socket.socket) -> bytes:
        # Whoever waits in `recv` keeps a socket from being reset, so wait beside it, in slices.
        while not _has_decrypted(source) and not select.select([source], [], [], SLICE_S)[0]:
            if self.is_ended:
                return b""
        if not isinstance(source, ssl.SSLSocket):
            return source.recv(CHUNK_BYTES)
        with self._session:
            return source.recv(CHUNK_BYTES)

    def _send(self, sink: socket.socket, piece: bytes) -> None:
        if not isinstance(sink, ssl.SSLSocket):
            sink.sendall(piece)
            return
        with self._session:
            sink.sendall(piece)


class TcpProxy:
    """A port of its own that leads to the server of a URL once it is opened.

    `delay_s` is what each piece waits on its way. While it `is_deaf`, new connections are taken and
    answered nothing: `unanswered` counts those that are open. With *context* it speaks TLS to its
    clients. A subclass may look at the bytes, and change them: `tap_up` sees those to the server,
    `tap_down` those to the client.
    """

    def __init__(self, url: str, context: ssl.SSLContext | None = None) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 0)
        self._context = context
        (self.port,) = free_ports(1)
        user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
        self.url = urlunsplit(parts._replace(netloc=f"{user}127.0.0.1:{self.port}"))
        self.delay_s = 0.0
        self.is_deaf = False
        self.unanswered = 0
        self._is_silent = False
        self._spared = 0
        self._taken = 0
        self._listener: socket.socket | None = None
        self._connections: list[ProxiedConnection] = []
        self._changing = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.shut()

    def open(self) -> None:
        """Listen from now on."""
        self._is_silent = False
        listener = self._listener = socket.create_server(("127.0.0.1", self.port))
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
            connections, self._connections = self._connections, []
        for connection in connections:
            connection.end(reset=reset)

    def silence(self, *, spared: int = 0) -> None:
        """Carry nothing any more, and keep everything open: neither side is told.

        The first connections, as many as are spared, go on all the same.
        """
        self._spared = spared
        self._is_silent = True

    def speak(self) -> None:
        """Carry again, what was held back first."""
        self._is_silent = False

    def forget(self) -> None:
        """Carry nothing any more for the connections there are, as a firewall that forgot them."""
        with self._changing:
            for connection in self._connections:
                connection.is_forgotten = True

    def tap_up(self, _connection: ProxiedConnection, chunk: bytes) -> bytes:
        """Return what is to go on of the bytes that a client sent."""
        return chunk

    def tap_down(self, _connection: ProxiedConnection, chunk: bytes) -> bytes:
        """Return what is to go on of the bytes that the server sent."""
        return chunk

    def hold(self, connection: ProxiedConnection) -> None:
        """Return once a piece may go on, or its connection has ended."""
        threading.Event().wait(self.delay_s)
        while self._is_held(connection) and not connection.is_ended:
            threading.Event().wait(SLICE_S)

    def _is_held(self, connection: ProxiedConnection) -> bool:
        is_silent = self._is_silent and connection.number > self._spared
        return is_silent or connection.is_forgotten

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                self._taken += 1
                if self.is_deaf:
                    threading.Thread(target=self._ignore, args=(client,), daemon=True).start()
                else:
                    self._connect(listener, client)

    def _connect(self, listener: socket.socket, client: socket.socket) -> None:
        try:
            client = self._with_tls(client)
            server = socket.create_connection(self._target)
        except OSError:
            end(client)
            return
        connection = ProxiedConnection(self, client, server, self._taken)
        with self._changing:
            is_shut = self._listener is not listener
            self._connections += [] if is_shut else [connection]
        if is_shut:
            connection.end()
        else:
            connection.start()

    def _with_tls(self, client: socket.socket) -> socket.socket:
        if self._context is None:
            return client
        client.settimeout(HANDSHAKE_TIMEOUT_S)
        client = self._context.wrap_socket(client, server_side=True)
        client.settimeout(None)
        return client

    def _ignore(self, client: socket.socket) -> None:
        with self._changing:
            self.unanswered += 1
        with client, suppress(OSError):
            while self._listener is not None:
                if select.select([client], [], [], SLICE_S)[0] and not client.recv(CHUNK_BYTES):
                    break
        with self._changing:
            self.unanswered -= 1


@contextmanager
def proxy_before(url: str) -> Iterator[TcpProxy]:
    """Give a proxy, shut at first and shut again at the end."""
    with TcpProxy(url) as proxy:
        yield proxy


def end(connection: socket.socket, *, reset: bool = False) -> None:
    """Close a socket, and wake whoever waits in it."""
    with suppress(OSError):
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        else:
            # Closing alone does not wake a thread that waits in `recv` or `accept`.
            connection.shutdown(socket.SHUT_RDWR)
    connection.close()


def lead_to_unix_socket(host: str, port: int, path: str) -> None:
    """Lead every connection to a TCP port to a Unix socket, until killed."""
    with socket.create_server((host, port)) as listener:
        while True:
            client, _ = listener.accept()
            server = socket.socket(socket.AF_UNIX)
            server.connect(path)
            for pair in ((client, server), (server, client)):
                threading.Thread(target=_copy, args=pair, daemon=True).start()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while chunk := source.recv(CHUNK_BYTES):
            sink.sendall(chunk)
    for side in (source, sink):
        with suppress(OSError):
            side.shutdown(socket.SHUT_RDWR)


def _has_decrypted(source: socket.socket) -> bool:
    """Return whether there are bytes that TLS has read already, which `select` does not see."""
    return isinstance(source, ssl.SSLSocket) and source.pending() > 0


if __name__ == "__main__":
    lead_to_unix_socket(sys.argv[1], int(sys.argv[2]), sys.argv[3])
