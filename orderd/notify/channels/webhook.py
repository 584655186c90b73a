"""The channel for web servers: a POST of the event, signed.

Source of the headers: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import hashlib
import hmac
import re
import ssl
import time
from collections.abc import Callable, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Final

from orderd import __version__
from orderd.config.notify_urls import WebServer
from orderd.notify.channels.transport import Patience, dial, reason_of, secured, tls_context
from orderd.notify.faults import RefusedForGood, RefusedForNow, Unreachable
from orderd.notify.message import Message
from orderd.notify.texts import line, safe_id
from orderd.protocol.cloud_events import CONTENT_TYPE

TOTAL_S: Final = 10.0
RETRY_AFTER_S_MAX: Final = 86_400.0
_ANSWER_CHARS_MAX: Final = 200
_ANSWER_BYTES: Final = 4 * _ANSWER_CHARS_MAX
_DIGITS: Final = re.compile(r"\d{1,12}", re.ASCII)
# Request time-out, too many requests.
_FOR_NOW: Final = frozenset({408, 429})


class WebhookChannel:
    """Posts events to *server*, signed with each of the *keys*, if there are any."""

    kind: Final = "webhook"

    def __init__(
        self, name: str, server: WebServer, keys: Sequence[bytes], keep_alive: Callable[[], None]
    ) -> None:
        self.name = name
        self._server = server
        self._keys = tuple(keys)
        self._patience = Patience(keep_alive)
        self._context = tls_context() if server.is_tls else None

    def send(self, message: Message) -> None:
        """Post the message's event; see `Channel`."""
        # A lone surrogate has no UTF-8, but JSON has an escape for it.
        body = message.event.encode(errors="backslashreplace")
        headers = {
            "Content-Type": CONTENT_TYPE,
            "User-Agent": f"orderd/{__version__}",
            "Connection": "close",
            **signed(safe_id(message.id), int(time.time()), body, self._keys),
        }
        self._patience.begin(TOTAL_S)
        connection = _Connection(self._server, self._patience, self._context)
        try:
            self._connect(connection)
            self._post(connection, body, headers)
        finally:
            connection.close()

    def rest(self) -> None:
        """Do nothing: each message has a connection of its own."""

    def close(self) -> None:
        """Do nothing: each message has a connection of its own."""

    def _connect(self, connection: HTTPConnection) -> None:
        try:
            connection.connect()
        except (OSError, ValueError) as fault:
            place = f"{self._server.host}:{self._server.port}"
            raise Unreachable(f"{place}: {line(reason_of(fault))}") from fault

    def _post(self, connection: HTTPConnection, body: bytes, headers: dict[str, str]) -> None:
        # A server may answer before it has read everything, and close.
        lost: OSError | None = None
        try:
            connection.request("POST", self._server.target, body, headers)
        except OSError as fault:
            lost = fault
        try:
            response = connection.getresponse()
        except (OSError, HTTPException) as fault:
            reason = line(reason_of(lost or fault), _ANSWER_CHARS_MAX)
            raise RefusedForNow(f"no answer: it may have been delivered ({reason})") from fault
        _judge(response)


def signed(message_id: str, timestamp_s: int, body: bytes, keys: Sequence[bytes]) -> dict[str, str]:
    """Return the headers of Standard Webhooks; without keys there is no signature."""
    headers = {"Webhook-Id": message_id, "Webhook-Timestamp": str(timestamp_s)}
    content = b".".join((message_id.encode(), str(timestamp_s).encode(), body))
    signatures = [
        f"v1,{base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()}" for key in keys
    ]
    return headers | ({"Webhook-Signature": " ".join(signatures)} if signatures else {})


def retry_after_s(header: str | None, now_s: float) -> float | None:
    """Return the seconds that a Retry-After asks for, a day at most; None where it says nothing."""
    text = (header or "").strip()
    if _DIGITS.fullmatch(text):
        return min(float(text), RETRY_AFTER_S_MAX)
    try:
        at = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    # A date without a zone is one in UTC, as HTTP has it.
    at_s = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    return min(max(0.0, at_s - now_s), RETRY_AFTER_S_MAX)


def _judge(response: HTTPResponse) -> None:
    """Raise what an answer means that is no success."""
    status = response.status
    if status in range(200, 300):
        return
    answer = f"{status} {response.reason}"
    if status in range(300, 400):
        target = line(response.getheader("Location") or "nowhere", _ANSWER_CHARS_MAX)
        raise RefusedForGood(line(f"{answer}: redirects are not followed ({target})"))
    beginning = line(_beginning(response), _ANSWER_CHARS_MAX)
    answer = line(f"{answer}: {beginning}" if beginning else answer)
    if status in range(400, 500) and status not in _FOR_NOW:
        raise RefusedForGood(answer)
    raise RefusedForNow(answer, retry_after_s(response.getheader("Retry-After"), time.time()))


def _beginning(response: HTTPResponse) -> str:
    """Return the first characters of the answer's body, or what came of them."""
    content = b""
    try:
        while len(content) < _ANSWER_BYTES and (part := response.read1(_ANSWER_BYTES)):
            content += part
    except (OSError, HTTPException):
        # What the server wanted is known: the rest is only for the reader.
        pass
    return content.decode(errors="replace")


class _Connection(HTTPConnection):
    """An HTTP connection over sockets that keep the daemon alive."""

    def __init__(
        self, server: WebServer, patience: Patience, context: ssl.SSLContext | None
    ) -> None:
        super().__init__(server.host, server.port)
        # Where the port is the usual one, the Host header does not name it.
        self.default_port = 80 if context is None else 443
        self._patience = patience
        self._tls = context

    def connect(self) -> None:
        """Connect, with TLS where the server has it; raise OSError."""
        plain = dial(self.host, self.port, self._patience)
        self.sock = plain
        if self._tls is not None:
            self.sock = secured(plain, self.host, self._tls)
