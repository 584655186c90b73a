"""A TCP proxy that can go silent, as a cut wire does, and can speak TLS to its clients."""

import contextlib
import selectors
import socket
import ssl
import threading
from types import TracebackType
from typing import Self

CHUNK_BYTES = 65_536


class Proxy:
    """Forwards one port of 127.0.0.1 to another; `silent` keeps connections but drops all bytes.

    The first connections, as many as `spared`, go on all the same. `deaf` keeps new ones too, and
    answers them nothing: `unanswered` counts those that are open.
    """

    def __init__(self, target_port: int, context: ssl.SSLContext | None = None) -> None:
        self._target = ("127.0.0.1", target_port)
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self.port: int = self._listener.getsockname()[1]
        self.silent = False
        self.spared = 0
        self.deaf = False
        self.unanswered = 0

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        self._listener.settimeout(0.1)
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                client, _ = self._listener.accept()
                thread = threading.Thread(target=self._serve, args=(client, len(self._threads)))
                self._threads.append(thread)
                thread.start()

    def _serve(self, client: socket.socket, number: int) -> None:
        with client, contextlib.suppress(OSError):
            if self._context is not None:
                client = self._context.wrap_socket(client, server_side=True)
            if self.deaf:
                self._ignore(client)
                return
            with client, socket.create_connection(self._target) as server:
                self._forward(client, server, number)

    def _ignore(self, client: socket.socket) -> None:
        client.settimeout(0.05)
        self.unanswered += 1
        try:
            while not self._stopping.is_set():
                with contextlib.suppress(TimeoutError):
                    if not client.recv(CHUNK_BYTES):
                        return
        finally:
            self.unanswered -= 1

    def _forward(self, client: socket.socket, server: socket.socket, number: int) -> None:
        other = {client: server, server: client}
        with selectors.DefaultSelector() as selector:
            for one in other:
                one.settimeout(0.05)
                selector.register(one, selectors.EVENT_READ)
            while not self._stopping.is_set():
                if self.silent and number > self.spared:
                    self._stopping.wait(0.05)
                    continue
                for key, _ in selector.select(0.05):
                    source = key.fileobj
                    assert isinstance(source, socket.socket)
                    with contextlib.suppress(TimeoutError):
                        received = source.recv(CHUNK_BYTES)
                        if not received:
                            return
                        other[source].sendall(received)
