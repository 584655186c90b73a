"""Message properties as bytes on the wire, written and read without pika or orderd.

Values of headers are written as `(kind, value)` with the letters of AMQP 0-9-1 as RabbitMQ speaks
it, and read as what they mean: numbers as numbers whatever their width, text and binary as bytes.
"""

import struct
from collections.abc import Iterable, Mapping
from typing import Any

from pika import BasicProperties

NAMES = [
    *("content_type", "content_encoding", "headers", "delivery_mode", "priority"),
    *("correlation_id", "reply_to", "expiration", "message_id", "timestamp"),
    *("type", "user_id", "app_id", "cluster_id"),
]
_WIDTHS = {"headers": "F", "delivery_mode": "B", "priority": "B", "timestamp": "T"}
_NUMBERS = {"b": "b", "B": "B", "s": "h", "u": "H", "I": "i", "i": "I", "l": "q", "L": "q"}
_FIXED = {**_NUMBERS, "t": "?", "f": "f", "d": "d", "D": "Bi", "T": "Q", "V": ""}


class RawProperties(BasicProperties):
    """Properties that are sent as the bytes they are given, and keep the bytes they are read from.

    Put it into `pika.spec.props` to have every message read so.
    """

    def __init__(self, encoded: bytes = b"") -> None:
        super().__init__()
        self.encoded = encoded

    def encode(self) -> list[bytes]:
        return [self.encoded]

    def decode(self, encoded: bytes, offset: int = 0) -> "RawProperties":
        self.encoded = bytes(encoded[offset:])
        return self


def write_properties(given: Mapping[str, Any]) -> bytes:
    """Return properties by name; headers are `(kind, value)` by name, short texts are bytes."""
    flags, pieces = 0, []
    for place, name in enumerate(NAMES):
        if name in given:
            flags |= 1 << (15 - place)
            kind = _WIDTHS.get(name)
            value = given[name]
            pieces.append(write_short(value) if kind is None else write_value(kind, value))
    return struct.pack(">H", flags) + b"".join(pieces)


def read_properties(encoded: bytes) -> dict[str, Any]:
    """Return what `write_properties` wrote, or anybody else."""
    flags, offset = struct.unpack_from(">H", encoded)[0], 2
    found: dict[str, Any] = {}
    for place, name in enumerate(NAMES):
        if flags & 1 << (15 - place):
            kind = _WIDTHS.get(name)
            found[name], offset = (
                read_short(encoded, offset) if kind is None else _read(kind, encoded, offset)
            )
    return found


def write_short(text: bytes) -> bytes:
    return bytes((len(text),)) + text


def write_value(kind: str, value: Any) -> bytes:
    """Return the value as it stands behind the letter of its kind."""
    if kind in _FIXED:
        values = () if kind == "V" else value if kind == "D" else (value,)
        return struct.pack(f">{_FIXED[kind]}", *values)
    if kind == "F":
        pieces: Iterable[bytes] = (
            write_short(name) + inner.encode() + write_value(inner, content)
            for name, (inner, content) in value.items()
        )
    elif kind == "A":
        pieces = (inner.encode() + write_value(inner, content) for inner, content in value)
    else:
        pieces = (value,)
    body = b"".join(pieces)
    return struct.pack(">I", len(body)) + body


def meaning(kind: str, value: Any) -> Any:
    """Return what `read_properties` makes of a value that was written so."""
    if kind == "F":
        return {name: meaning(*inner) for name, inner in value.items()}
    if kind == "A":
        return [meaning(*inner) for inner in value]
    if kind == "f":
        return struct.unpack(">f", struct.pack(">f", value))[0]
    return (kind, value) if kind in "DT" else value


def read_short(encoded: bytes, offset: int) -> tuple[bytes, int]:
    end = offset + 1 + encoded[offset]
    return encoded[offset + 1 : end], end


def _read(kind: str, encoded: bytes, offset: int) -> tuple[Any, int]:
    if kind in _FIXED:
        layout = struct.Struct(f">{_FIXED[kind]}")
        values = layout.unpack_from(encoded, offset)
        value = None if kind == "V" else values if kind == "D" else values[0]
        return (kind, value) if kind in "DT" else value, offset + layout.size
    start = offset + 4
    end = start + struct.unpack_from(">I", encoded, offset)[0]
    if kind == "F":
        return dict(_entries(encoded, start, end)), end
    if kind == "A":
        return [value for _, value in _entries(encoded, start, end, is_named=False)], end
    return encoded[start:end], end


def _entries(
    encoded: bytes, offset: int, end: int, *, is_named: bool = True
) -> list[tuple[bytes, Any]]:
    entries = []
    while offset < end:
        name = b""
        if is_named:
            name, offset = read_short(encoded, offset)
        value, offset = _read(chr(encoded[offset]), encoded, offset + 1)
        entries.append((name, value))
    return entries
