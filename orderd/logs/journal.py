"""Entries for systemd's journal, by its native protocol, without blocking on it.

Source of the protocol: https://systemd.io/JOURNAL_NATIVE_PROTOCOL/
"""

import errno
import fcntl
import os
import re
import socket
import struct
from collections.abc import Mapping
from typing import Final

PATH: Final = "/run/systemd/journal/socket"
_PATIENCE_S: Final = 0.1
_FIELD_CHARS_MAX: Final = 64
_NOT_IN_NAMES: Final = re.compile(r"[^A-Z0-9_]")
# What the journal demands of memory that it is to map.
_SEALS: Final = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
_TOO_LARGE: Final = (errno.EMSGSIZE, errno.ENOBUFS)


def entry(fields: Mapping[str, object]) -> bytes:
    """Return *fields* as the journal reads them, each under its `field_name`."""
    return b"".join(_field(field_name(name), f"{value}") for name, value in fields.items())


def field_name(name: str) -> str:
    """Return the name of a field as the journal takes it: `A-Z`, `0-9` and `_`, a letter first."""
    return _NOT_IN_NAMES.sub("_", name.upper()).lstrip("_0123456789")[:_FIELD_CHARS_MAX]


def fault(path: str = PATH) -> str:
    """Return why no entry can be sent to *path*; an empty text where one can."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as trial:
        try:
            trial.connect(path)
        except OSError as error:
            return f"{path}: {error.strerror}"
    return ""


class JournalSocket:
    """Sends entries; what the journal does not take within 100 ms is dropped.

    Each entry is addressed to *path* anew, so that the journal may be restarted meanwhile.
    """

    def __init__(self, path: str = PATH, *, patience_s: float = _PATIENCE_S) -> None:
        self._path = path
        self._is_stalled = False
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        # The kernel limits the wait: nothing says beforehand whether a receiver has room.
        microseconds = round(patience_s * 1_000_000)
        limit = struct.pack("@ll", *divmod(microseconds, 1_000_000))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)

    def send(self, entry: bytes) -> bool:
        """Return whether the journal has taken the entry; OSError where there is no journal.

        Once it did not, entries do not wait any more until it takes one again, so that many of
        them do not add up to a long wait.
        """
        flags = socket.MSG_DONTWAIT if self._is_stalled else 0
        try:
            self._send(entry, flags)
        except BlockingIOError:
            self._is_stalled = True
            return False
        self._is_stalled = False
        return True

    def close(self) -> None:
        """Release the socket."""
        self._socket.close()

    def _send(self, entry: bytes, flags: int) -> None:
        try:
            self._socket.sendto(entry, flags, self._path)
        except OSError as error:
            if error.errno not in _TOO_LARGE:
                raise
            self._send_in_memory(entry, flags)

    def _send_in_memory(self, entry: bytes, flags: int) -> None:
        """Send what is larger than a datagram as a descriptor of sealed memory."""
        descriptor = os.memfd_create("orderd-log", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            with os.fdopen(descriptor, "wb", closefd=False) as file:
                file.write(entry)
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("@i", descriptor))]
            self._socket.sendmsg([b""], rights, flags, self._path)
        finally:
            os.close(descriptor)


def _field(name: str, value: str) -> bytes:
    content = value.encode("utf-8", "backslashreplace")
    if b"\n" not in content:
        return b"%s=%s\n" % (name.encode(), content)
    return b"%s\n%s%s\n" % (name.encode(), struct.pack("<Q", len(content)), content)
