"""A proxy before PostgreSQL that loses the connection in the middle of a COMMIT."""

import threading
from enum import Enum, auto

from tests.support.tcp_proxy import ProxiedConnection, TcpProxy
from tools.waiting import wait_until

COMMIT = b"COMMIT\0"
# Where the text of a query begins in its message: behind a letter and the length.
_TEXT = 5
# What the server says when it waits for the next statement, outside of any transaction.
READY_FOR_QUERY = b"Z\0\0\0\x05I"


class Where(Enum):
    """At which moment the connection is lost."""

    BEFORE = auto()  # nothing of the COMMIT has left
    WITHIN = auto()  # the server has the first half of its message
    AFTER = auto()  # it took effect, and the answer is lost


class CommitTrap(TcpProxy):
    """Once armed, it springs at the next COMMIT that passes; `sprung` counts.

    With *only*, at the next one of a transaction with this text in it.
    """

    def __init__(self, url: str, *, reset: bool = True, only: bytes = b"") -> None:
        super().__init__(url)
        self.sprung = 0
        self._reset = reset
        self._only = only
        self._armed: Where | None = None
        self._pieces: dict[ProxiedConnection, bytes] = {}
        self._met: set[ProxiedConnection] = set()
        self._answers: dict[ProxiedConnection, bytes] = {}
        self._springing = threading.Lock()

    def arm(self, where: Where) -> None:
        """Lose the connection at the next COMMIT of whoever comes first."""
        self._armed = where

    def spring(self, where: Where, timeout_s: float = 20) -> None:
        """Arm, and return when it has sprung."""
        before = self.sprung
        self.arm(where)
        wait_until(
            lambda: self.sprung > before, timeout_s=timeout_s, what=f"a COMMIT to lose {where}"
        )

    def tap_up(self, connection: ProxiedConnection, chunk: bytes) -> bytes:
        """Let whole messages pass, as far as there is no trap."""
        rest = self._pieces.pop(connection, b"") + chunk
        passed = b""
        while message := first_message(rest):
            rest = rest[len(message) :]
            if self._is_meant(connection, message) and (where := self._disarmed()) is not None:
                return passed + self._lose(connection, message, where)
            passed += message
        self._pieces[connection] = rest
        return passed

    def tap_down(self, connection: ProxiedConnection, chunk: bytes) -> bytes:
        """Swallow the answer to a COMMIT that is to be lost, and lose the connection with it."""
        if connection not in self._answers:
            return chunk
        self._answers[connection] += chunk
        if self._answers[connection].endswith(READY_FOR_QUERY):
            del self._answers[connection]
            self._end(connection)
        return b""

    def _is_meant(self, connection: ProxiedConnection, message: bytes) -> bool:
        if message[_TEXT:].startswith(b"BEGIN"):
            self._met.discard(connection)
        if self._only in message:
            self._met.add(connection)
        return is_commit(message) and connection in self._met

    def _lose(self, connection: ProxiedConnection, message: bytes, where: Where) -> bytes:
        if where is Where.AFTER:
            self._answers[connection] = b""
            return message
        if where is Where.WITHIN:
            connection.send_up(message[: len(message) // 2])
        self._end(connection)
        return b""

    def _end(self, connection: ProxiedConnection) -> None:
        connection.end(reset=self._reset)
        self.sprung += 1

    def _disarmed(self) -> Where | None:
        with self._springing:
            where, self._armed = self._armed, None
            return where


def first_message(stream: bytes) -> bytes:
    """Return the first whole message of what a client of PostgreSQL sends; empty: there is none.

    All but the first ones have a letter before their length.
    """
    start = 0 if stream[:1] == b"\0" else 1
    if len(stream) < start + 4:
        return b""
    length = start + int.from_bytes(stream[start : start + 4])
    return stream[:length] if len(stream) >= length else b""


def is_commit(message: bytes) -> bool:
    """Return whether the message is a query that ends with COMMIT."""
    return message[:1] == b"Q" and message.endswith(COMMIT)
