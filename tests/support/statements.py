"""A proxy before PostgreSQL that tells round trips and statements by the protocol's messages."""

import re
import struct
import textwrap
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from tests.support.tcp_proxy import ProxiedConnection, TcpProxy

_SIZE: Final = struct.Struct(">I")
_UNENCRYPTED: Final = "sslmode=disable&gssencmode=disable"
_COMMENT: Final = re.compile(r"--.*\n")
_SQL_CHARS_MAX: Final = 90


@dataclass(slots=True)
class RoundTrip:
    """What was sent at once, and the command tags of its statements, such as ``INSERT 0 2``."""

    sql: str = ""
    tags: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return the beginning of each statement, with its tag where it is known which it is."""
        statements = [_shortened(each) for each in _COMMENT.sub("", self.sql).split(";\n")]
        if len(statements) != len(self.tags):
            return [", ".join(self.tags), *statements]
        return [f"{tag:<16}{sql}" for tag, sql in zip(self.tags, statements, strict=True)]


class _Messages:
    """One way of a connection, cut into messages: kind and content."""

    def __init__(self, *, has_startup: bool) -> None:
        self._unread = b""
        # The first message of a client has no kind.
        self._kind_bytes = 0 if has_startup else 1

    def of(self, chunk: bytes) -> list[tuple[bytes, bytes]]:
        self._unread += chunk
        found = []
        while len(self._unread) >= (begin := self._kind_bytes) + _SIZE.size:
            end = begin + _SIZE.unpack_from(self._unread, begin)[0]
            if len(self._unread) < end:
                break
            found.append((self._unread[:begin], self._unread[begin + _SIZE.size : end]))
            self._unread = self._unread[end:]
            self._kind_bytes = 1
        return found


class StatementProxy(TcpProxy):
    """A proxy whose `round_trips` are those of all its connections, in the order of their end.

    One ends where the server is ready for the next; what was sent and answered until then belongs
    to it, whatever the driver and its cursors made of it.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url)
        parts = urlsplit(self.url)
        query = f"{parts.query}&{_UNENCRYPTED}" if parts.query else _UNENCRYPTED
        self.url = urlunsplit(parts._replace(query=query))
        self.round_trips: list[RoundTrip] = []
        self._up: dict[int, _Messages] = {}
        self._down: dict[int, _Messages] = {}
        self._open: dict[int, RoundTrip] = {}

    @property
    def tags(self) -> list[str]:
        """The command tags of all statements, in order."""
        return [tag for each in self.round_trips for tag in each.tags]

    def tap_up(self, connection: ProxiedConnection, chunk: bytes) -> bytes:
        number = connection.number
        messages = self._up.setdefault(number, _Messages(has_startup=True))
        for kind, content in messages.of(chunk):
            if kind == b"Q":
                self._trip(number).sql += content.rstrip(b"\0").decode()
            elif kind == b"P":
                # The name of a prepared statement comes first.
                self._trip(number).sql += content.split(b"\0")[1].decode()
        return chunk

    def tap_down(self, connection: ProxiedConnection, chunk: bytes) -> bytes:
        number = connection.number
        messages = self._down.setdefault(number, _Messages(has_startup=False))
        for kind, content in messages.of(chunk):
            if kind == b"C":
                self._trip(number).tags.append(content.rstrip(b"\0").decode())
            elif kind == b"Z" and number in self._open:
                self.round_trips.append(self._open.pop(number))
        return chunk

    def _trip(self, number: int) -> RoundTrip:
        return self._open.setdefault(number, RoundTrip())


def _shortened(statement: str) -> str:
    return textwrap.shorten(statement, _SQL_CHARS_MAX, placeholder=" ...")
