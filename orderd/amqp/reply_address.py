"""Addresses of the broker's direct reply-to, which clients hand out and the broker decodes."""

import base64
import binascii
import re
from typing import Final

from orderd.protocol.values import value

REPLY_TO: Final = "amq.rabbitmq.reply-to"

# An Erlang process identifier in the external term format: the name of a node, three numbers.
_PROCESS: Final = re.compile(rb"\x83[Xg][dsvw].{1,2}[^@]+@.+", re.DOTALL)
# The bytes of the length of an atom, and those of the numbers, by their tags.
_ATOM_LENGTH_BYTES: Final = {b"d": 2, b"s": 1, b"v": 2, b"w": 1}
_NUMBERS_BYTES: Final = {b"X": 12, b"g": 9}
# What every Erlang can have in the number of a process and in its serial number.
_ID_BITS: Final = 15
_SERIAL_BITS: Final = 13


@value
class AddressFamily:
    """Addresses that differ in nothing but numbers that every Erlang can have."""

    encoding: bytes
    node: bytes
    creation: bytes
    id_above: int
    serial_above: int


def is_safe(routing_key: str) -> bool:
    """Return whether the broker survives a message to *routing_key*.

    RabbitMQ closes the publisher's connection over a direct reply-to address that it cannot
    decode. Whether the client behind a well-formed one still exists does not matter.
    """
    if not routing_key.startswith(f"{REPLY_TO}."):
        return True
    return _PROCESS.fullmatch(_process(routing_key)) is not None


def is_exact(routing_key: str) -> bool:
    """Return whether *routing_key* is an address to the last byte as brokers make them.

    What only looks like one may still cost the connection.
    """
    return family_of(routing_key) is not None


def family_of(routing_key: str) -> AddressFamily | None:
    """Return the family of an address, None where it is none to the last byte.

    RabbitMQ before 4.2 ends the connection over the address of a node that is not in its cluster,
    and over a process number that its Erlang cannot have. What it does with one address, it does
    with all of the same family.
    """
    process = _process(routing_key)
    length_bytes = _ATOM_LENGTH_BYTES.get(process[2:3], 0)
    numbers_bytes = _NUMBERS_BYTES.get(process[1:2], 0)
    if _PROCESS.fullmatch(process) is None:
        return None
    start = 3 + length_bytes
    size = int.from_bytes(process[3:start], "big")
    node, numbers = process[start : start + size], process[start + size :]
    if not (len(numbers) == numbers_bytes and node.count(b"@") == 1 and node.isascii()):
        return None
    process_id, serial = (int.from_bytes(numbers[at : at + 4], "big") for at in (0, 4))
    return AddressFamily(
        process[1:start], node, numbers[8:], process_id >> _ID_BITS, serial >> _SERIAL_BITS
    )


def _process(routing_key: str) -> bytes:
    """Return the process that an address names; nothing where it names none."""
    process, _, key = routing_key.removeprefix(f"{REPLY_TO}.").partition(".")
    try:
        return base64.b64decode(process, validate=True) if key else b""
    except (binascii.Error, ValueError):
        return b""
