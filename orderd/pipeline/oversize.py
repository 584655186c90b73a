"""Dead letters that the broker refuses for their size: they go truncated, and say so."""

import re
from dataclasses import replace
from hashlib import sha256
from typing import Final

from orderd.amqp.message import OutgoingMessage
from orderd.pipeline.outbound import OutboundMessage, Purpose
from orderd.protocol.names import HEADER_ORIGINAL_BYTES, HEADER_ORIGINAL_SHA256

# RabbitMQ's words where a body is larger than its `max_message_size`.
_TOO_LARGE: Final = re.compile(r"message size \d+ is larger than configured max size (\d+)")


def truncated(message: OutboundMessage, why: str) -> OutboundMessage | None:
    """Return a refused dead letter with as much of its body as the broker takes.

    Its headers tell the size of the whole in bytes, and its SHA-256. None where *why* it was
    refused is not its size, and for all that is no dead letter: a retry has to be whole.
    """
    found = _TOO_LARGE.search(why)
    if found is None or message.purpose is not Purpose.DEAD_LETTER:
        return None
    return replace(message, outgoing=_cut(message.outgoing, int(found[1])))


def _cut(message: OutgoingMessage, bytes_max: int) -> OutgoingMessage:
    headers = dict(message.properties.headers or {})
    # It may have been cut before: what was whole is what came first.
    headers.setdefault(HEADER_ORIGINAL_BYTES, len(message.body))
    headers.setdefault(HEADER_ORIGINAL_SHA256, sha256(message.body).hexdigest())
    properties = replace(message.properties, headers=headers)
    return replace(message, body=message.body[:bytes_max], properties=properties)
