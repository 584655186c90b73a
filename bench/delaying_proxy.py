"""A TCP proxy that puts a server some milliseconds away.

What is under way does not hold up what comes behind it, as on a real line: each piece goes on a
fixed time after it came.
"""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from urllib.parse import urlsplit, urlunsplit

CHUNK_BYTES = 65_536


@contextmanager
def distant(url: str, round_trip_ms: float) -> Iterator[str]:
    """Give a URL that leads to the server of *url*, that far away; 0: *url* itself."""
    if round_trip_ms == 0:
        yield url
        return
    parts = urlsplit(url)
    target = (parts.hostname or "127.0.0.1", parts.port or 0)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        args = (listener, target, round_trip_ms / 2_000)
        threading.Thread(target=_accept, args=args, daemon=True).start()
        user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
        port = listener.getsockname()[1]
        yield urlunsplit(parts._replace(netloc=f"{user}127.0.0.1:{port}"))
        with suppress(OSError):
            # Closing alone does not wake the thread that waits in `accept`.
            listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, target: tuple[str, int], one_way_s: float) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            args = (client, target, one_way_s)
            threading.Thread(target=_carry, args=args, daemon=True).start()


def _carry(client: socket.socket, target: tuple[str, int], one_way_s: float) -> None:
    """Carry bytes both ways, until both sides have ended."""
    with client, socket.create_connection(target) as server:
        threads = []
        for source, sink in ((client, server), (server, client)):
            source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            under_way: SimpleQueue[tuple[float, bytes]] = SimpleQueue()
            threads += [
                threading.Thread(target=_receive, args=(source, under_way, one_way_s), daemon=True),
                threading.Thread(target=_send, args=(under_way, sink), daemon=True),
            ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def _receive(
    source: socket.socket, under_way: SimpleQueue[tuple[float, bytes]], one_way_s: float
) -> None:
    chunk = b"?"
    while chunk:
        try:
            chunk = source.recv(CHUNK_BYTES)
        except OSError:
            chunk = b""
        under_way.put((time.monotonic() + one_way_s, chunk))


def _send(under_way: SimpleQueue[tuple[float, bytes]], sink: socket.socket) -> None:
    """Send each piece when it is due, until an empty one says that there are no more."""
    with suppress(OSError):
        while True:
            due_s, chunk = under_way.get()
            time.sleep(max(0.0, due_s - time.monotonic()))
            if not chunk:
                sink.shutdown(socket.SHUT_WR)
                return
            sink.sendall(chunk)
