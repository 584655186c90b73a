"""The dead letter: the original, byte for byte, with what was wrong with it in its headers."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from orderd.amqp.faults import Unpublishable
from orderd.amqp.message import OutgoingMessage, Properties
from orderd.amqp.wire.properties import encode
from orderd.pipeline.messages import SHORT_STRING_BYTES_MAX, copied_properties
from orderd.pipeline.results import Result
from orderd.protocol.cloud_events import CloudEvent, SystemEvent
from orderd.protocol.masking import masked, masked_trace
from orderd.protocol.names import (
    DEAD_LETTER_HEADERS,
    HEADER_ATTEMPT,
    HEADER_CODE,
    HEADER_EDITED_BY,
    HEADER_ERROR,
    HEADER_EXPIRATION,
    HEADER_EXPIRES_AT,
    HEADER_FAILED_AT,
    HEADER_PLACE,
    HEADER_QUEUE,
    HEADER_REASON,
    HEADER_RECEIVED,
    HEADER_REPLAYED,
    HEADER_USER_ID,
    dead_letter_queue,
)
from orderd.protocol.rows import rfc3339
from orderd.protocol.strict_json import dumps
from orderd.protocol.values import value

# A header table has to fit into one frame, or the connection is closed each time.
HEADERS_BYTES_MAX: Final = 16 * 1024
REASON_CHARACTERS_MAX: Final = 1000
_HEADER_OVERHEAD_BYTES: Final = 64
# Short texts that producers can set as well, and then to anything.
_SHORT_TEXTS: Final = frozenset(
    {HEADER_EXPIRATION, HEADER_USER_ID, HEADER_EDITED_BY, HEADER_RECEIVED}
)


@value
class Verdict:
    """Why a message becomes a dead letter; *error* is a trace, where there is one."""

    code: str
    reason: str
    error: str = ""


def dead_letter(
    result: Result, verdict: Verdict, failed_at: datetime, receipt: Mapping[str, Any]
) -> OutgoingMessage:
    """Return the message for the dead letter queue; the error is cut to what there is room for.

    *receipt* are the headers of its receipt.
    """
    error = verdict.error
    ours: dict[str, Any] = {
        **receipt,
        HEADER_REASON: masked(verdict.reason)[:REASON_CHARACTERS_MAX],
        HEADER_CODE: verdict.code,
        HEADER_FAILED_AT: rfc3339(failed_at),
        HEADER_QUEUE: str(result.delivery.queue),
        HEADER_ATTEMPT: result.attempt,
    }
    properties = copied_properties(result.delivery.properties, ours)
    room_bytes = HEADERS_BYTES_MAX - _size_of(properties, ours) - _HEADER_OVERHEAD_BYTES
    if error and room_bytes > 0:
        # The end of a trace says most.
        ours[HEADER_ERROR] = (
            masked_trace(error).encode(errors="replace")[-room_bytes:].decode(errors="ignore")
        )
        properties = copied_properties(result.delivery.properties, ours)
    queue = dead_letter_queue(result.delivery.queue)
    return OutgoingMessage("", queue, result.delivery.body, properties, mandatory=True)


def _size_of(properties: Properties, ours: Mapping[str, Any]) -> int:
    try:
        return len(encode(properties))
    except Unpublishable:
        # A header that can be read but not written: the letter goes without its producer's ones.
        return len(encode(replace(properties, headers=ours)))


def without_original_headers(message: OutgoingMessage) -> OutgoingMessage:
    """Return *message* with our headers alone: with its producer's they are too big."""
    ours = {
        name: value
        for name, value in (message.properties.headers or {}).items()
        if name in {HEADER_ATTEMPT, HEADER_EXPIRES_AT, HEADER_PLACE}
        or name in DEAD_LETTER_HEADERS
        or (name == HEADER_REPLAYED and isinstance(value, int))
        or (
            name in _SHORT_TEXTS and isinstance(value, str) and len(value) <= SHORT_STRING_BYTES_MAX
        )
    }
    return replace(message, properties=replace(message.properties, headers=ours))


def dead_lettered_event(result: Result, verdict: Verdict) -> CloudEvent:
    """Return the event that tells of a dead letter; never with the message's content."""
    told = {
        "queue": str(result.delivery.queue),
        "code": verdict.code,
        "reason": masked(verdict.reason)[:REASON_CHARACTERS_MAX],
        "attempt": result.attempt,
        "request_id": result.request_id,
    }
    return CloudEvent(SystemEvent.DEAD_LETTERED, f"queue/{result.delivery.queue}", dumps(told))
