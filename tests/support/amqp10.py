"""A producer that speaks AMQP 1.0, as far as it takes to send messages to a queue of RabbitMQ 4."""

import socket
import struct
from collections.abc import Sequence
from contextlib import closing
from urllib.parse import unquote, urlsplit

TIMEOUT_S = 20.0
OPEN, BEGIN, ATTACH, FLOW, TRANSFER, DISPOSITION = 0x10, 0x11, 0x12, 0x13, 0x14, 0x15
CLOSE = 0x18
SOURCE, TARGET = 0x28, 0x29
SASL_MECHANISMS, SASL_INIT, SASL_OUTCOME = 0x40, 0x41, 0x44
HEADER, PROPERTIES, APPLICATION_PROPERTIES, DATA, VALUE = 0x70, 0x73, 0x74, 0x75, 0x77
NULL, TRUE, FALSE = b"\x40", b"\x41", b"\x42"


def text(value: str) -> bytes:
    """Return a string, encoded."""
    return _variable(0xB1, value.encode())


def binary(value: bytes) -> bytes:
    """Return bytes, encoded."""
    return _variable(0xB0, value)


def ulong(value: int) -> bytes:
    """Return a number of 64 bits, encoded."""
    return struct.pack(">BQ", 0x80, value)


def uuid(value: bytes) -> bytes:
    """Return a UUID of 16 bytes, encoded."""
    return b"\x98" + value


def message(body: bytes, message_id: bytes = NULL, reply_to: bytes = NULL) -> bytes:
    """Return a durable message whose *body* is an encoded section."""
    properties = _section(PROPERTIES, message_id, NULL, NULL, NULL, reply_to)
    return _section(HEADER, TRUE) + properties + body


def application_properties(**values: bytes) -> bytes:
    """Return the section of a message that goes before its body; *values* are encoded."""
    items = b"".join(text(name) + value for name, value in values.items())
    head = (0, 0x53, APPLICATION_PROPERTIES, 0xD1, len(items) + 4, 2 * len(values))
    return struct.pack(">BBBBII", *head) + items


def data(raw: bytes) -> bytes:
    """Return the section that holds bytes as they are."""
    return bytes((0x00, 0x53, DATA)) + binary(raw)


def value(raw: str) -> bytes:
    """Return the section that holds a value of AMQP's own."""
    return bytes((0x00, 0x53, VALUE)) + text(raw)


def send(url: str, address: str, messages: Sequence[bytes]) -> None:
    """Send *messages* to the broker at an amqp:// URL; it has them when this returns."""
    parts = urlsplit(url)
    place = (parts.hostname or "", parts.port or 0)
    with closing(socket.create_connection(place, timeout=TIMEOUT_S)) as connection:
        _log_in(connection, parts.username or "guest", parts.password or "guest")
        vhost = unquote(parts.path.removeprefix("/"))
        _say(connection, OPEN, text("producer"), text(f"vhost:{vhost}"))
        _say(connection, BEGIN, NULL, _uint(0), _uint(1_000), _uint(1_000))
        source, target = _section(SOURCE, text("here")), _section(TARGET, text(address))
        settling = (_ubyte(0), _ubyte(0), source, target, NULL, NULL, _uint(0))
        _say(connection, ATTACH, text("link"), _uint(0), FALSE, *settling)
        _await(connection, FLOW)
        for number, one in enumerate(messages):
            tag = binary(str(number).encode())
            told = _section(TRANSFER, _uint(0), _uint(number), tag, _uint(0), FALSE, FALSE)
            _send_frame(connection, told + one)
            _await(connection, DISPOSITION)
        _say(connection, CLOSE)


def _log_in(connection: socket.socket, user: str, password: str) -> None:
    _greet(connection, b"AMQP\x03\x01\x00\x00")
    _await(connection, SASL_MECHANISMS)
    response = binary(f"\0{user}\0{password}".encode())
    _send_frame(connection, _section(SASL_INIT, _variable(0xB3, b"PLAIN"), response), kind=1)
    _await(connection, SASL_OUTCOME)
    _greet(connection, b"AMQP\x00\x01\x00\x00")


def _greet(connection: socket.socket, header: bytes) -> None:
    connection.sendall(header)
    assert _read(connection, 8) == header


def _say(connection: socket.socket, code: int, *fields: bytes) -> None:
    _send_frame(connection, _section(code, *fields))


def _send_frame(connection: socket.socket, body: bytes, kind: int = 0) -> None:
    connection.sendall(struct.pack(">IBBH", len(body) + 8, 2, kind, 0) + body)


def _await(connection: socket.socket, code: int) -> None:
    """Read on until a frame with that performative has come."""
    while True:
        (size,) = struct.unpack(">I", _read(connection, 4))
        frame = _read(connection, size - 4)
        found = frame[frame[0] * 4 - 4 :][:3]
        if found == bytes((0x00, 0x53, code)):
            return
        assert found != bytes((0x00, 0x53, CLOSE)), frame


def _read(connection: socket.socket, size: int) -> bytes:
    read = b""
    while len(read) < size:
        chunk = connection.recv(size - len(read))
        assert chunk, "the broker hung up"
        read += chunk
    return read


def _section(code: int, *fields: bytes) -> bytes:
    items = b"".join(fields)
    return struct.pack(">BBBBII", 0, 0x53, code, 0xD0, len(items) + 4, len(fields)) + items


def _variable(code: int, raw: bytes) -> bytes:
    return struct.pack(">BI", code, len(raw)) + raw


def _uint(number: int) -> bytes:
    return struct.pack(">BI", 0x70, number)


def _ubyte(number: int) -> bytes:
    return struct.pack(">BB", 0x50, number)
