"""Renewal: a copy of a message in the same queue, with a new delivery count.

A quorum queue counts how often a message was given back or lost with a connection. Past its
delivery limit the broker drops the message where the queue has no dead letter exchange. A copy
that is published to the same queue begins at nought, whatever arguments and policies the queue has.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, Final

from orderd.amqp.message import PERSISTENT, Delivery, OutgoingMessage, Properties
from orderd.protocol.names import (
    BROKER_HEADERS,
    HEADER_CLEAN_STOPS,
    HEADER_EXPIRATION,
    HEADER_EXPIRES_AT,
    HEADER_PLACE,
    HEADER_RECEIVED,
    HEADER_RENEWALS,
    HEADER_USER_ID,
)

# AMQP does not tell a queue's limit. RabbitMQ has 20 by default since 4.0, none before; a policy
# may set less, and what is safe with this one is safe with all that are higher.
ASSUMED_LIMIT: Final = 6
_HEADER_COUNT: Final = "x-delivery-count"
_COUNT_MAX: Final = 1_000
_MOMENT_MAX_MS: Final = 2**62
# The default exchange would route a copy to each of these.
_FAN_OUT_HEADERS: Final = frozenset({"CC", "BCC"})


def delivery_count(delivery: Delivery) -> int:
    """Return how many deliveries of the message the broker has counted; 0 where it tells none.

    A classic queue counts nothing, and hands on what the producer wrote there.
    """
    count = (delivery.properties.headers or {}).get(_HEADER_COUNT)
    # Only a number can be one of the broker's.
    return count if type(count) is int and count > 0 else 0


def is_due(delivery: Delivery, limit: int = ASSUMED_LIMIT) -> bool:
    """Return whether the message has used half of the *limit* of its queue, or more."""
    return 2 * delivery_count(delivery) >= limit


def renewed(delivery: Delivery) -> OutgoingMessage:
    """Return the copy to publish, with confirm, before *delivery* is acked; mandatory.

    Body, properties and headers stay, but for those that a copy must not carry.
    """
    properties = lasting_properties(delivery.properties)
    return OutgoingMessage("", delivery.queue, delivery.body, properties, mandatory=True)


def renewed_command(
    delivery: Delivery,
    receipt: Mapping[str, Any],
    *,
    is_clean_stop: bool = False,
    place: str | None = None,
) -> OutgoingMessage:
    """Return such a copy of a command; it tells that it is one, so that its tries still count.

    *receipt* are the headers of its receipt: what it has of these is not believed.
    With *is_clean_stop* the last of the tries on record was none that ended in a crash. *place* is
    the key of the place that it keeps in the line of its row.
    """
    message = renewed(delivery)
    headers = dict(message.properties.headers or {})
    for name in (HEADER_RECEIVED, HEADER_USER_ID):
        headers.pop(name, None)
    headers |= receipt
    headers |= lifetime(delivery)
    headers[HEADER_RENEWALS] = count_in(delivery, HEADER_RENEWALS) + 1
    if is_clean_stop:
        headers[HEADER_CLEAN_STOPS] = count_in(delivery, HEADER_CLEAN_STOPS) + 1
    if place:
        headers[HEADER_PLACE] = place
    return replace(message, properties=replace(message.properties, headers=headers))


def lifetime(delivery: Delivery) -> dict[str, int]:
    """Return the header by which a copy keeps the end of the message's time, where it has one.

    The broker expires no copy: that would end it without a word.
    """
    deadline_ms = _deadline_ms(delivery)
    return {} if deadline_ms is None else {HEADER_EXPIRES_AT: deadline_ms}


def is_expired(delivery: Delivery, now_s: float) -> bool:
    """Return whether *delivery* is a copy whose message's time is over, in seconds since 1970."""
    deadline_ms = (delivery.properties.headers or {}).get(HEADER_EXPIRES_AT)
    # Only a number can be one of ours.
    return type(deadline_ms) is int and deadline_ms <= now_s * 1000


def _deadline_ms(delivery: Delivery) -> int | None:
    noted = (delivery.properties.headers or {}).get(HEADER_EXPIRES_AT)
    if type(noted) is int and 0 <= noted <= _MOMENT_MAX_MS:
        return noted
    expiration = delivery.properties.expiration
    if expiration is None or not (expiration.isascii() and expiration.isdigit()):
        return None
    return min(round(delivery.received_s * 1000) + int(expiration), _MOMENT_MAX_MS)


def count_in(delivery: Delivery, header: str) -> int:
    """Return the count in a *header* of ours; 0 for anything but a small count.

    A producer can write anything there.
    """
    found = (delivery.properties.headers or {}).get(header)
    return found if type(found) is int and 0 < found <= _COUNT_MAX else 0


def lasting_properties(original: Properties, dropped: Collection[str] = ()) -> Properties:
    """Return *original* for a copy that must stay: persistent, unexpiring, to one queue only.

    The headers in *dropped* are left out, as are those that brokers write. A `user_id` would have
    to be that of the publisher, so it moves into a header, as does an `expiration`.
    """
    headers = {
        name: value
        for name, value in (original.headers or {}).items()
        if name not in _FAN_OUT_HEADERS
        and name not in dropped
        and not str(name).startswith(BROKER_HEADERS)
    }
    if original.expiration is not None:
        headers[HEADER_EXPIRATION] = original.expiration
    if original.user_id is not None:
        headers[HEADER_USER_ID] = original.user_id
    return replace(
        original,
        headers=headers or None,
        delivery_mode=PERSISTENT,
        expiration=None,
        user_id=None,
    )
