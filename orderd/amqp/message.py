"""The values that pass between orderd and the broker."""

import time
from collections.abc import Mapping
from dataclasses import field
from typing import Any, Final

from orderd.protocol.values import value

# The delivery modes of messages that do not outlive a restart of the broker, and that do.
TRANSIENT: Final = 1
PERSISTENT: Final = 2


@value
class Properties:
    """The basic properties of AMQP 0-9-1; None means absent.

    *timestamp* is in whole seconds since 1970. Header values are str, bytes, bool, int, float,
    Decimal, aware datetime, None, and lists and mappings of these.
    """

    content_type: str | None = None
    content_encoding: str | None = None
    headers: Mapping[str, Any] | None = None
    delivery_mode: int | None = None
    priority: int | None = None
    correlation_id: str | None = None
    reply_to: str | None = None
    expiration: str | None = None
    message_id: str | None = None
    timestamp: int | None = None
    type: str | None = None
    user_id: str | None = None
    app_id: str | None = None
    cluster_id: str | None = None


@value
class Delivery:
    """One hand-over by the broker; its *tag* is this process's own.

    It can be settled on the channel that it came on, which *generation* counts.

    *received_s* is when it came, in seconds since 1970.
    """

    queue: str
    body: bytes
    properties: Properties
    tag: int
    generation: int
    redelivered: bool
    received_s: float = field(default_factory=time.time, compare=False)


@value
class OutgoingMessage:
    """A message to publish; a *mandatory* one that no queue takes counts as failed."""

    exchange: str
    routing_key: str
    body: bytes
    properties: Properties
    mandatory: bool
