"""Writes field tables, the encoding of headers, and refuses what the broker could not read."""

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from orderd.amqp.faults import Unpublishable
from orderd.amqp.wire.field_reader import DEPTH_MAX, Epoch

SHORT_BYTES_MAX: Final = 255
_DECIMAL_PLACES_MAX: Final = 255
_INT_BITS: Final = 31
_LONG_BITS: Final = 63
_UINT: Final = struct.Struct(">I")


def write_table(table: Mapping[str, Any], depth: int = 0) -> bytes:
    """Return *table* as it goes over the wire, or raise Unpublishable naming the key."""
    pieces = []
    for key, value in table.items():
        try:
            pieces.append(write_short(key) + _write_value(value, depth))
        except Unpublishable as fault:
            raise Unpublishable(f"{key!r}: {fault}") from fault
    encoded = b"".join(pieces)
    return _UINT.pack(len(encoded)) + encoded


def write_short(text: Any) -> bytes:
    """Return *text* as a short string, or raise Unpublishable."""
    raw = _utf8(text)
    size = len(raw)
    if size > SHORT_BYTES_MAX:
        raise Unpublishable(f"{size} bytes of UTF-8, at most {SHORT_BYTES_MAX} fit")
    return bytes((size,)) + raw


def _utf8(text: Any) -> bytes:
    try:
        return text.encode(errors="surrogateescape")
    except AttributeError as error:
        raise Unpublishable(f"must be a string, not {type(text).__name__}") from error
    except UnicodeEncodeError as error:
        raise Unpublishable(f"not encodable as UTF-8: {error.reason}") from error


def _write_value(value: Any, depth: int) -> bytes:
    encode = _ENCODERS.get(type(value))
    if encode is not None:
        return encode(value)
    if depth >= DEPTH_MAX:
        raise Unpublishable(f"nested over {DEPTH_MAX} levels")
    if isinstance(value, Mapping):
        return b"F" + write_table(value, depth + 1)
    if isinstance(value, list | tuple):
        return _write_array(value, depth + 1)
    # Subclasses, such as a StrEnum, travel as what they are made of.
    for kind, encode in _ENCODERS.items():
        if isinstance(value, kind):
            return encode(value)
    raise Unpublishable(f"a header cannot carry a {type(value).__name__}")


def _write_array(values: Sequence[Any], depth: int) -> bytes:
    encoded = b"".join(_write_value(value, depth) for value in values)
    return b"A" + _UINT.pack(len(encoded)) + encoded


def _write_text(value: str) -> bytes:
    raw = _utf8(value)
    return b"S" + _UINT.pack(len(raw)) + raw


def _write_binary(value: bytes) -> bytes:
    return b"x" + _UINT.pack(len(value)) + value


def _write_int(value: int) -> bytes:
    if -(1 << _INT_BITS) <= value < 1 << _INT_BITS:
        return struct.pack(">ci", b"I", value)
    if -(1 << _LONG_BITS) <= value < 1 << _LONG_BITS:
        return struct.pack(">cq", b"l", value)
    raise Unpublishable("an integer of more than 64 bits")


def _write_float(value: float) -> bytes:
    if not math.isfinite(value):
        # The broker cannot read it, and closes the connection.
        raise Unpublishable(f"{value} cannot be encoded as a number in AMQP")
    return struct.pack(">cd", b"d", value)


def _write_decimal(value: Decimal) -> bytes:
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        raise Unpublishable(f"{value} cannot be encoded as a number in AMQP")
    if exponent > 0:
        # AMQP only counts places behind the point; the check of the range follows below.
        digits, exponent = (*digits, *(0,) * min(exponent, _LONG_BITS)), 0
    unscaled = int("".join(map(str, digits))) * (-1 if sign else 1)
    if not -(1 << _INT_BITS) <= unscaled < 1 << _INT_BITS or -exponent > _DECIMAL_PLACES_MAX:
        raise Unpublishable(f"decimal {value} is out of range: 32 bits and 255 places")
    return struct.pack(">cBi", b"D", -exponent, unscaled)


def _write_moment(value: datetime) -> bytes:
    aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    seconds = int(aware.timestamp() // 1)
    if seconds < 0:
        raise Unpublishable(f"timestamp {value} is before 1970")
    return struct.pack(">cQ", b"T", seconds)


_ENCODERS: Final[dict[type, Callable[[Any], bytes]]] = {
    str: _write_text,
    bool: lambda value: b"t\1" if value else b"t\0",
    Epoch: lambda value: struct.pack(">cQ", b"T", value),
    int: _write_int,
    float: _write_float,
    Decimal: _write_decimal,
    datetime: _write_moment,
    bytes: _write_binary,
    type(None): lambda _: b"V",
}
