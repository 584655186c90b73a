"""The messages that answer for a delivery: the reply, and the copy that is tried again."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from orderd.amqp.message import PERSISTENT, TRANSIENT, OutgoingMessage, Properties
from orderd.amqp.renewal import lasting_properties, lifetime
from orderd.pipeline.results import Result
from orderd.protocol.names import (
    DEAD_LETTER_HEADERS,
    HEADER_ATTEMPT,
    HEADER_EXPIRES_AT,
    HEADER_PLACE,
    HEADER_RECEIVED,
    HEADER_USER_ID,
    RENEWAL_HEADERS,
    retry_queue,
)
from orderd.protocol.replies import Response

SHORT_STRING_BYTES_MAX: Final = 255
APPLICATION: Final = "orderd"
_LEFT_OUT: Final = (
    DEAD_LETTER_HEADERS
    | RENEWAL_HEADERS
    | {HEADER_EXPIRES_AT, HEADER_PLACE, HEADER_RECEIVED, HEADER_USER_ID}
)


def reply_message(result: Result, response: Response, reply_to: str) -> OutgoingMessage:
    """Return the reply to the caller; mandatory, so that a missing reply queue is reported.

    It outlives a restart of the broker where the request would have.
    """
    correlation_id = result.correlation_id
    is_lasting = result.delivery.properties.delivery_mode == PERSISTENT
    properties = Properties(
        content_type="application/json",
        delivery_mode=PERSISTENT if is_lasting else TRANSIENT,
        correlation_id=short(result.delivery.properties.correlation_id or result.request_id),
        app_id=APPLICATION,
    )
    return OutgoingMessage("", reply_to, response.reply(correlation_id), properties, mandatory=True)


def retry_message(
    result: Result, delay_s: float, attempt: int, place: str, receipt: Mapping[str, Any]
) -> OutgoingMessage:
    """Return the message again, on its way through the queue in which it waits for *delay_s*.

    Its attempt will be *attempt*, and *place* the key of its place, where it has one. *receipt* are
    the headers of its receipt.
    """
    ours: dict[str, Any] = {HEADER_ATTEMPT: attempt, **receipt, **lifetime(result.delivery)}
    if place:
        ours[HEADER_PLACE] = place
    properties = copied_properties(result.delivery.properties, ours)
    queue = retry_queue(result.delivery.queue, delay_s)
    return OutgoingMessage("", queue, result.delivery.body, properties, mandatory=True)


def copied_properties(original: Properties, ours: Mapping[str, Any]) -> Properties:
    """Return *original* for a copy that must stay: persistent, unexpiring, to one queue only.

    The headers *ours* take the place of what an earlier try left. A `user_id` would have to be
    that of the publisher, so it moves into a header, as does an `expiration`.
    """
    lasting = lasting_properties(original, _LEFT_OUT)
    return replace(lasting, headers={**(lasting.headers or {}), **ours})


def short(text: str | None) -> str | None:
    """Return *text* if a short string property can carry it; the body has it in any case."""
    if text is None:
        return None
    return text if len(text.encode(errors="surrogateescape")) <= SHORT_STRING_BYTES_MAX else None
