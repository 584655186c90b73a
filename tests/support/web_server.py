"""A web server for tests: http.server in a thread, with the answer that a test wants."""

import base64
import hashlib
import hmac
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Final, Self

# Receivers refuse what is older, or from the future.
TOLERANCE_S: Final = 300


@dataclass
class Request:
    """A request that has come."""

    target: str
    headers: Mapping[str, str]
    body: bytes

    def is_signed_with(self, secret: str) -> bool:
        """Return whether a receiver with this secret takes it, as Standard Webhooks has it."""
        sent_at = self.headers["Webhook-Timestamp"]
        if abs(time.time() - int(sent_at)) > TOLERANCE_S:
            return False
        key = base64.b64decode(secret.removeprefix("whsec_"))
        content = f"{self.headers['Webhook-Id']}.{sent_at}.".encode() + self.body
        expected = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
        versions = (each.split(",", 1) for each in self.headers["Webhook-Signature"].split(" "))
        return any(
            version == "v1" and hmac.compare_digest(signature, expected)
            for version, signature in versions
        )


@dataclass
class WebServer:
    """A server on 127.0.0.1; each POST gets the same answer and is in `requests`."""

    status: int = 204
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    context: ssl.SSLContext | None = None
    requests: list[Request] = field(default_factory=list)
    port: int = 0

    def __enter__(self) -> Self:
        """Start it."""
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                body = self.rfile.read(length)
                owner.requests.append(Request(self.path, dict(self.headers), body))
                self.send_response(owner.status)
                for name, value in owner.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(owner.body)))
                self.end_headers()
                self.wfile.write(owner.body)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = _Server(("127.0.0.1", self.port), Handler)
        if self.context is not None:
            self._server.socket = self.context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port = self._server.server_address[1]
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(20)


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: Any) -> None:
        """Say nothing of clients that leave."""
