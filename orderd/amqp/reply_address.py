"""Addresses of the broker's direct reply-to, which clients hand out and the broker decodes."""

import base64
import binascii
import re
from typing import Final

REPLY_TO: Final = "amq.rabbitmq.reply-to"

# An Erlang process identifier in the external term format: the name of a node, three numbers.
_PROCESS: Final = re.compile(rb"\x83[Xg][dsvw].{1,2}[^@]+@.+", re.DOTALL)


def is_safe(routing_key: str) -> bool:
    """Return whether the broker survives a message to *routing_key*.

    RabbitMQ closes the publisher's connection over a direct reply-to address that it cannot
    decode. Whether the client behind a well-formed one still exists does not matter.
    """
    if not routing_key.startswith(f"{REPLY_TO}."):
        return True
    process, _, key = routing_key.removeprefix(f"{REPLY_TO}.").partition(".")
    try:
        decoded = base64.b64decode(process, validate=True)
    except (binascii.Error, ValueError):
        return False
    return bool(key) and _PROCESS.fullmatch(decoded) is not None
