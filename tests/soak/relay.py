"""`python -m tests.soak.relay HOST PORT SOCKET`: leads from a TCP port to a Unix socket."""

import socket
import sys
import threading
from contextlib import suppress

CHUNK_BYTES = 65_536


def main() -> None:
    """Serve until killed."""
    host, port, path = sys.argv[1:]
    with socket.create_server((host, int(port))) as listener:
        while True:
            client, _ = listener.accept()
            server = socket.socket(socket.AF_UNIX)
            server.connect(path)
            for pair in ((client, server), (server, client)):
                threading.Thread(target=_carry, args=pair, daemon=True).start()


def _carry(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while chunk := source.recv(CHUNK_BYTES):
            sink.sendall(chunk)
    for side in (source, sink):
        with suppress(OSError):
            side.shutdown(socket.SHUT_RDWR)


if __name__ == "__main__":
    main()
