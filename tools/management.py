"""RabbitMQ's management API, as far as the tools need it."""

import base64
import json
import urllib.request
from http.client import HTTPException
from typing import Any
from urllib.parse import quote, unquote, urlsplit

TIMEOUT_S = 10
EVERYTHING = {"configure": ".*", "write": ".*", "read": ".*"}


class ManagementFault(RuntimeError):
    """The management API is not reachable or refused a request."""


class Management:
    """Requests to `http://user:password@host:port`."""

    def __init__(self, url: str) -> None:
        self.url = url
        parts = urlsplit(url)
        self.user = unquote(parts.username or "guest")
        self.password = unquote(parts.password or "guest")
        self.host = parts.hostname or "localhost"
        self.port = parts.port or 15672
        self._root = f"{parts.scheme}://{self.host}:{self.port}{parts.path.rstrip('/')}"
        token = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json"}
        # The server is near: a proxy from the environment would only be in the way.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def is_reachable(self) -> bool:
        """Return whether the API answers us as an administrator."""
        try:
            tags = self.request("GET", "/api/whoami")["tags"]
        except ManagementFault:
            return False
        return "administrator" in tags

    def add_vhost(self, name: str) -> None:
        """Create the virtual host, with every permission on it for our user."""
        vhost = quote(name, safe="")
        self.request("PUT", f"/api/vhosts/{vhost}", {})
        self.request("PUT", f"/api/permissions/{vhost}/{quote(self.user, safe='')}", EVERYTHING)

    def delete_vhost(self, name: str) -> None:
        """Delete the virtual host with all its queues and connections."""
        self.request("DELETE", f"/api/vhosts/{quote(name, safe='')}")

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """Return the decoded answer, None when it is empty; raises ManagementFault."""
        text = self.download(method, path, None if body is None else json.dumps(body).encode())
        return json.loads(text) if text else None

    def download(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """Return the answer as it came; raises ManagementFault."""
        request = urllib.request.Request(  # noqa: S310  the scheme is the caller's own
            self._root + path, method=method, data=body, headers=self._headers
        )
        try:
            with self._opener.open(request, timeout=TIMEOUT_S) as answer:
                return bytes(answer.read())
        except (OSError, HTTPException) as error:
            raise ManagementFault(f"{method} {self._root}{path}: {error}") from error
