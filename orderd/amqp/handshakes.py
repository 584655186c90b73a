"""Closes the sockets of failed TLS handshakes, which pika leaves to the garbage collector."""

import ssl
from typing import Final

# Where a context keeps them: sockets are made by pika, and know nothing but their context.
_FAILED: Final = "failed_handshakes"


class _WatchedSocket(ssl.SSLSocket):
    """A socket that its context remembers once its handshake has failed."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 (as the parent)
        try:
            super().do_handshake(block)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except OSError:
            vars(self.context).setdefault(_FAILED, []).append(self)
            raise


def watch_handshakes(context: ssl.SSLContext) -> None:
    """Let *context* remember the sockets whose handshake fails."""
    context.sslsocket_class = _WatchedSocket


def close_failed(context: ssl.SSLContext) -> None:
    """Close those sockets, once pika has ended its attempt."""
    for socket in vars(context).pop(_FAILED, ()):
        socket.close()
