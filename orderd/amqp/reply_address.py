"""Addresses of the broker's direct reply-to, which clients hand out and the broker decodes."""

import base64
import binascii
import re
from typing import Final

REPLY_TO: Final = "amq.rabbitmq.reply-to"

# An Erlang process identifier in the external term format: the name of a node, three numbers.
_PROCESS: Final = re.compile(rb"\x83[Xg][dsvw].{1,2}[^@]+@.+", re.DOTALL)
# The bytes of the length of an atom, and those of the numbers, by their tags.
_ATOM_LENGTH_BYTES: Final = {b"d": 2, b"s": 1, b"v": 2, b"w": 1}
_NUMBERS_BYTES: Final = {b"X": 12, b"g": 9}


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
    process = _process(routing_key)
    length_bytes = _ATOM_LENGTH_BYTES.get(process[2:3], 0)
    numbers_bytes = _NUMBERS_BYTES.get(process[1:2], 0)
    if _PROCESS.fullmatch(process) is None:
        return False
    start = 3 + length_bytes
    size = int.from_bytes(process[3:start], "big")
    node, numbers = process[start : start + size], process[start + size :]
    return len(numbers) == numbers_bytes and node.count(b"@") == 1 and node.isascii()


def _process(routing_key: str) -> bytes:
    """Return the process that an address names; nothing where it names none."""
    process, _, key = routing_key.removeprefix(f"{REPLY_TO}.").partition(".")
    try:
        return base64.b64decode(process, validate=True) if key else b""
    except (binascii.Error, ValueError):
        return b""
