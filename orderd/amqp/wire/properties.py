"""Basic properties on the wire: read without ever failing, written only when AMQP can carry them.

pika looks up in `pika.spec.props` what reads a message's properties, and asks the object that it
is given to publish to encode itself. A subclass of its BasicProperties in both places keeps
headers exact (see field_reader.py) and makes the check before publishing the encoding itself.
"""

import struct
from collections.abc import Callable
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final

from pika import spec

from orderd.amqp.faults import Unpublishable
from orderd.amqp.message import OutgoingMessage, Properties
from orderd.amqp.reply_address import is_safe
from orderd.amqp.wire.field_reader import read_short, read_table
from orderd.amqp.wire.field_writer import SHORT_BYTES_MAX, write_short, write_table

# The only entry in the headers of a message whose own ones cannot be read: their raw bytes.
HEADER_UNREADABLE: Final = "orderd-unreadable"

_FRAME_OVERHEAD_BYTES: Final = 8
_CONTENT_HEADER_BYTES: Final = 12
_FLAG_MORE: Final = 1
_FLAGS: Final = struct.Struct(">H")
_SECONDS: Final = struct.Struct(">Q")
_SECONDS_BITS: Final = 64
_OCTET_MAX: Final = 255
_FLAGS_KEPT: Final = 64
_NAMES: Final = tuple(Properties.__dataclass_fields__)
_EMPTY: Final = Properties()


class WireProperties(spec.BasicProperties):
    """What pika reads into and writes from; *decoded* are the properties as orderd knows them."""

    def __init__(self, decoded: Properties = _EMPTY, encoded: bytes | None = None) -> None:
        # The parent's attributes are left out: orderd does not read them, and they cost time.
        self.decoded = decoded
        self._encoded = encoded

    def __getattr__(self, name: str) -> Any:
        # For other users of pika in the same program, who expect its own attributes.
        if name not in _NAMES:
            raise AttributeError(name)
        return getattr(self.decoded, name)

    def decode(self, encoded: bytes, offset: int = 0) -> "WireProperties":
        """Read *encoded* from *offset* on; never raises, for that would end the connection."""
        try:
            self.decoded = decode(encoded, offset)
        except (ValueError, IndexError, struct.error):
            self.decoded = Properties(headers={HEADER_UNREADABLE: bytes(encoded[offset:])})
        return self

    def encode(self) -> list[bytes]:
        """Return the pieces that pika puts into the content header."""
        return [encode(self.decoded) if self._encoded is None else self._encoded]


def register() -> None:
    """Have pika read every message's properties into WireProperties, in the whole program."""
    spec.props[spec.BasicProperties.INDEX] = WireProperties


def decode(encoded: bytes, offset: int = 0) -> Properties:
    """Return the properties that begin at *offset*; unreadable headers are kept as raw bytes."""
    flags = _FLAGS.unpack_from(encoded, offset)[0]
    if not flags:
        return _EMPTY
    if flags & _FLAG_MORE:
        raise ValueError("more properties than AMQP 0-9-1 has")
    offset += 2
    found: dict[str, Any] = {}
    for name, read in _present(flags):
        found[name], offset = read(encoded, offset)
    return Properties(**found)


def _read_headers(encoded: bytes, offset: int) -> tuple[dict[str, Any], int]:
    try:
        return read_table(encoded, offset)
    except (ValueError, IndexError, struct.error):
        start = offset + 4
        end = start + int.from_bytes(encoded[offset:start], "big")
        return {HEADER_UNREADABLE: bytes(encoded[start:end])}, end


def _read_octet(encoded: bytes, offset: int) -> tuple[int, int]:
    return encoded[offset], offset + 1


def _read_seconds(encoded: bytes, offset: int) -> tuple[int, int]:
    return _SECONDS.unpack_from(encoded, offset)[0], offset + 8


def encode(properties: Properties) -> bytes:
    """Return *properties* as they go over the wire, or raise Unpublishable naming the field."""
    flags = 0
    pieces = [b""]
    for value, (name, flag, _, write) in zip(_values(properties), _FIELDS, strict=True):
        if value is not None:
            flags |= flag
            try:
                pieces.append(write(value))
            except Unpublishable as fault:
                raise Unpublishable(f"{name}: {fault}") from fault
    pieces[0] = _FLAGS.pack(flags)
    return b"".join(pieces)


def _write_octet(value: int) -> bytes:
    if not 0 <= value <= _OCTET_MAX:
        raise Unpublishable(f"{value} is not in 0..{_OCTET_MAX}")
    return bytes((value,))


def _write_seconds(value: int) -> bytes:
    if not 0 <= value < 1 << _SECONDS_BITS:
        raise Unpublishable(f"{value} is not a number of seconds since 1970")
    return _SECONDS.pack(value)


def _write_expiration(value: str) -> bytes:
    if not (value.isascii() and value.isdigit()):
        # The broker closes the channel over it.
        raise Unpublishable(f"{value!r} is not a whole number of milliseconds")
    return write_short(value)


_SPECIAL: Final[dict[str, tuple[Callable[..., Any], Callable[..., bytes]]]] = {
    "headers": (_read_headers, write_table),
    "delivery_mode": (_read_octet, _write_octet),
    "priority": (_read_octet, _write_octet),
    "expiration": (read_short, _write_expiration),
    "timestamp": (_read_seconds, _write_seconds),
}
# Name, flag, reader and writer of each property, in the order of the wire.
_FIELDS: Final = tuple(
    (name, 1 << (15 - place), *_SPECIAL.get(name, (read_short, write_short)))
    for place, name in enumerate(_NAMES)
)
_values: Final = attrgetter(*_NAMES)


# Most messages of a queue have the same properties.
@lru_cache(_FLAGS_KEPT)
def _present(flags: int) -> tuple[tuple[str, Callable[..., Any]], ...]:
    """Return name and reader of the properties that *flags* announce, in the order of the wire."""
    return tuple((name, read) for name, flag, read, _ in _FIELDS if flags & flag)


def check(properties: Properties, frame_max: int, user: str | None = None) -> bytes:
    """Return *properties* encoded, or raise Unpublishable naming the field.

    *frame_max* is the negotiated size of a frame in bytes: all properties have to fit into one.
    *user* is the name that the connection is logged in as: the broker takes no other `user_id`.
    """
    encoded = encode(properties)
    size_max = frame_max - _FRAME_OVERHEAD_BYTES - _CONTENT_HEADER_BYTES
    if len(encoded) > size_max:
        raise Unpublishable(
            f"headers: properties of {len(encoded)} bytes do not fit into one frame: {size_max}"
        )
    if user is not None and properties.user_id not in (None, user):
        raise Unpublishable(f"user_id: {properties.user_id!r} is not the user of this connection")
    return encoded


def encode_for(message: OutgoingMessage, frame_max: int, user: str | None) -> bytes:
    """Return the properties of *message* encoded, or raise Unpublishable naming the field."""
    for name, value in (("exchange", message.exchange), ("routing_key", message.routing_key)):
        if not (value.isascii() and len(value) <= SHORT_BYTES_MAX):
            try:
                write_short(value)
            except Unpublishable as fault:
                raise Unpublishable(f"{name}: {fault}") from fault
    if not (message.exchange or is_safe(message.routing_key)):
        raise Unpublishable("routing_key: not an address of direct reply-to")
    return check(message.properties, frame_max, user)


def prepare(message: OutgoingMessage, frame_max: int, user: str | None) -> WireProperties:
    """Return what to hand to pika with *message*, or raise Unpublishable as `encode_for` does."""
    return WireProperties(message.properties, encode_for(message, frame_max, user))
