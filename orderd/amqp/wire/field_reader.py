"""Reads field tables, the encoding of headers, as RabbitMQ speaks AMQP 0-9-1.

pika's own codec turns floats into whole numbers, and drops the connection over a timestamp after
the year 9999 (milliseconds where seconds belong are enough) and over deep nesting: the message is
then delivered again, and does it again, without end.
"""

import struct
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

DEPTH_MAX: Final = 64


class Epoch(int):
    """A timestamp that no datetime can hold, in seconds since 1970."""

    __slots__ = ()


def read_table(encoded: bytes, offset: int, depth: int = 0) -> tuple[dict[str, Any], int]:
    """Return the table that begins at *offset*, and the offset behind it.

    Raises ValueError or struct.error for what is not a table, or is nested too deeply.
    """
    end = _UINT.unpack_from(encoded, offset)[0] + offset + 4
    offset += 4
    table: dict[str, Any] = {}
    while offset < end:
        key, offset = read_short(encoded, offset)
        table[key], offset = _read_value(encoded, offset, depth)
    return table, offset


def read_short(encoded: bytes, offset: int) -> tuple[str, int]:
    """Return the short string at *offset*, and the offset behind it.

    Bytes that are not UTF-8 become lone surrogates, which `write_short` turns back into them.
    """
    start = offset + 1
    end = start + encoded[offset]
    return encoded[start:end].decode(errors="surrogateescape"), end


def _read_value(encoded: bytes, offset: int, depth: int) -> tuple[Any, int]:
    kind = encoded[offset]
    offset += 1
    if (fixed := _FIXED.get(kind)) is not None:
        layout, convert = fixed
        value = layout.unpack_from(encoded, offset)
        return convert(*value), offset + layout.size
    if depth >= DEPTH_MAX:
        raise ValueError(f"nested over {DEPTH_MAX} levels")
    if kind == _TABLE:
        return read_table(encoded, offset, depth + 1)
    start = offset + 4
    end = start + _UINT.unpack_from(encoded, offset)[0]
    if kind == _ARRAY:
        return _read_array(encoded, start, end, depth + 1), end
    if kind == _TEXT:
        return _text(encoded[start:end]), end
    if kind == _BINARY:
        return encoded[start:end], end
    raise ValueError(f"unknown kind of field {chr(kind)!r}")


def _read_array(encoded: bytes, offset: int, end: int, depth: int) -> list[Any]:
    values = []
    while offset < end:
        value, offset = _read_value(encoded, offset, depth)
        values.append(value)
    return values


def _text(raw: bytes) -> str | bytes:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def _moment(seconds: int) -> datetime | Epoch:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return Epoch(seconds)


def _decimal(places: int, unscaled: int) -> Decimal:
    return Decimal(unscaled).scaleb(-places)


def _same(value: Any) -> Any:
    return value


_UINT: Final = struct.Struct(">I")
_TABLE, _ARRAY, _TEXT, _BINARY = b"FASx"
_FIXED: Final[dict[int, tuple[struct.Struct, Callable[..., Any]]]] = {
    ord("t"): (struct.Struct(">?"), _same),
    ord("b"): (struct.Struct(">b"), _same),
    ord("B"): (struct.Struct(">B"), _same),
    ord("s"): (struct.Struct(">h"), _same),
    ord("U"): (struct.Struct(">h"), _same),
    ord("u"): (struct.Struct(">H"), _same),
    ord("I"): (struct.Struct(">i"), _same),
    ord("i"): (struct.Struct(">I"), _same),
    ord("l"): (struct.Struct(">q"), _same),
    ord("L"): (struct.Struct(">q"), _same),
    ord("f"): (struct.Struct(">f"), _same),
    ord("d"): (struct.Struct(">d"), _same),
    ord("D"): (struct.Struct(">Bi"), _decimal),
    ord("T"): (struct.Struct(">Q"), _moment),
    ord("V"): (struct.Struct(">"), lambda: None),
}
