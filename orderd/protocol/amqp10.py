"""How RabbitMQ translates messages of AMQP 1.0 producers, as far as orderd is concerned."""

from collections.abc import Mapping
from typing import Any, Final

HEADER_MESSAGE_ID: Final = "x-message-id"
# The property `type` of a message whose body is no data section: it is handed on as it is encoded.
TYPE_ENCODED: Final = "amqp-1.0"
NO_DATA: Final = "is an amqp-value or amqp-sequence of AMQP 1.0: send the JSON as a data section"
_SHORT_STRING_BYTES_MAX: Final = 255
_ADDRESSES: Final = ("/queues/", "/queue/", "/exchanges/", "/exchange/", "/amq/queue/", "/topic/")


def message_id_of(message_id: str | None, headers: Mapping[str, Any] | None) -> str | None:
    """Return the message's id: the property *message_id*, or what RabbitMQ put into *headers*.

    A property holds 255 bytes of text. Longer ids come in a header as they are; binary ones too,
    and are spelled out: ``0x00ff``. Any other value of that header is the producer's own.
    """
    if message_id is not None or not headers:
        return message_id
    match headers.get(HEADER_MESSAGE_ID):
        case bytes(binary):
            return f"0x{binary.hex()}"
        case str(text) if len(text.encode(errors="surrogatepass")) > _SHORT_STRING_BYTES_MAX:
            return text
    return None


def is_address(reply_to: str) -> bool:
    """Return whether *reply_to* looks like an address of AMQP 1.0, which names no queue."""
    return reply_to.startswith(_ADDRESSES)
