"""The messages of a batch in one `send`, where pika itself makes three calls for each message.

pika takes the services of its I/O loop from its user, and says to them over which transport a
connection writes; what is written there follows what pika has written. It calls that interface no
public API. So all that relies on it is in this file, and where it is not as expected, messages are
published by pika, frame by frame.
"""

import struct
from collections.abc import Iterable, Iterator
from typing import Any, Final

from pika import frame, spec
from pika.adapters import select_connection

from orderd.amqp.message import OutgoingMessage
from orderd.amqp.wire.properties import WireProperties

# A longer write gains nothing, and what the socket does not take of it is copied each time.
WRITE_BYTES: Final = 256 * 1024

_OVERHEAD_BYTES: Final = spec.FRAME_HEADER_SIZE + spec.FRAME_END_SIZE
# Kind of frame, channel, size of what follows.
_FRAME: Final = struct.Struct(">BHI")
# The same, then class, weight, and size of the body.
_CONTENT_HEADER: Final = struct.Struct(">BHIHxxQ")
_CONTENT_HEADER_BYTES: Final = _CONTENT_HEADER.size - _FRAME.size
_END: Final = bytes((spec.FRAME_END,))

# A message, and its properties as they go over the wire.
Prepared = tuple[OutgoingMessage, bytes]

_Services: Any = getattr(select_connection, "SelectorIOServicesAdapter", object)


class WatchedServices(_Services):
    """pika's services, which keep the *transport* of the one connection that they are given to."""

    transport: Any = None

    def create_streaming_connection(self, *arguments: Any, on_done: Any, **named: Any) -> Any:
        """Do as the parent, which calls *on_done* with the transport and pika's connection."""

        def on_made(result: Any) -> None:
            if isinstance(result, tuple) and hasattr(result[0], "write"):
                self.transport = result[0]
            on_done(result)

        return super().create_streaming_connection(*arguments, on_done=on_made, **named)

    def abort(self) -> None:
        """Close the socket, where the broker has not answered to a close: with TLS it may stay."""
        if self.transport is not None and hasattr(self.transport, "abort"):
            self.transport.abort()


def watched_services() -> WatchedServices | None:
    """Return services for a SelectConnection, with a loop of its own; None where pika has none."""
    try:
        return WatchedServices(select_connection.IOLoop())
    except (AttributeError, TypeError):
        return None


def publish(raw: Any, services: WatchedServices | None, messages: Iterable[Prepared]) -> None:
    """Hand *messages* over to the socket on pika's channel *raw*, in order, once its loop turns.

    Raises what pika raises where the channel is closed.
    """
    transport = None if services is None else services.transport
    # pika says best what is wrong with a channel that is not open.
    if transport is None or not raw.is_open:
        _publish_each(raw, messages)
        return
    for piece in joined(raw.channel_number, raw.connection.params.frame_max, messages):
        transport.write(piece)


def joined(channel: int, frame_max: int, messages: Iterable[Prepared]) -> Iterator[bytes]:
    """Return what goes over the wire for *messages*, in pieces of about WRITE_BYTES.

    *frame_max* is the negotiated size of a frame in bytes.
    """
    pieces: list[bytes] = []
    size = 0
    methods: dict[tuple[str, str, bool], bytes] = {}
    for message, properties in messages:
        target = message.exchange, message.routing_key, message.mandatory
        method = methods.get(target)
        if method is None:
            method = methods[target] = frame.Method(channel, _method(message)).marshal()
        pieces.append(method)
        for piece in _content(channel, frame_max, properties, message.body):
            pieces.append(piece)
            size += len(piece)
            if size >= WRITE_BYTES:
                yield b"".join(pieces)
                pieces.clear()
                size = 0
    if pieces:
        yield b"".join(pieces)


def _content(channel: int, frame_max: int, properties: bytes, body: bytes) -> Iterator[bytes]:
    """Return the frames of a message behind that of its method."""
    size = _CONTENT_HEADER_BYTES + len(properties)
    index = spec.BasicProperties.INDEX
    header = _CONTENT_HEADER.pack(spec.FRAME_HEADER, channel, size, index, len(body))
    frame_bytes = frame_max - _OVERHEAD_BYTES
    if 0 < len(body) <= frame_bytes:
        start = _FRAME.pack(spec.FRAME_BODY, channel, len(body))
        yield b"".join((header, properties, _END, start, body, _END))
        return
    yield b"".join((header, properties, _END))
    for offset in range(0, len(body), frame_bytes):
        part = body[offset : offset + frame_bytes]
        yield b"".join((_FRAME.pack(spec.FRAME_BODY, channel, len(part)), part, _END))


def _method(message: OutgoingMessage) -> spec.Basic.Publish:
    return spec.Basic.Publish(
        exchange=message.exchange, routing_key=_key(message), mandatory=message.mandatory
    )


def _publish_each(raw: Any, messages: Iterable[Prepared]) -> None:
    for message, encoded in messages:
        properties = WireProperties(message.properties, encoded)
        raw.basic_publish(
            message.exchange, _key(message), message.body, properties, message.mandatory
        )


def _key(message: OutgoingMessage) -> bytes:
    # A reply queue may have a name that is not UTF-8.
    return message.routing_key.encode(errors="surrogateescape")
