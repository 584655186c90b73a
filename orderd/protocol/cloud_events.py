"""CloudEvents 1.0 in structured JSON: the events that orderd publishes.

Source of the form: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
"""

from datetime import datetime
from enum import StrEnum
from os import urandom
from typing import Final

from orderd.protocol.rows import rfc3339
from orderd.protocol.strict_json import quote
from orderd.protocol.values import value

CONTENT_TYPE: Final = "application/cloudevents+json"

# Version 4, and the variant of RFC 9562.
_VERSION_4: Final = 0x4 << 76 | 0b10 << 62
_RANDOM_BITS: Final = ~(0xF << 76 | 0b11 << 62)


class SystemEvent(StrEnum):
    """What events tell of daemons and messages; an entity has events of its own."""

    STARTED = "system.started"
    PAUSED = "system.paused"
    RESUMED = "system.resumed"
    STOPPING = "system.stopping"
    DEAD_LETTERED = "system.dead_lettered"
    QUEUE_PAUSED = "system.queue_paused"
    QUEUE_RESUMED = "system.queue_resumed"


def new_id() -> str:
    """Return the id of a new event: a random UUID, of which only the text is wanted.

    It takes half the time of `uuid.uuid4`. Source: RFC 9562, 5.4.
    """
    number = int.from_bytes(urandom(16), "big") & _RANDOM_BITS | _VERSION_4
    digits = f"{number:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


@value
class EventContext:
    """Where and when something happened, and on whose behalf: the same for all events of a command.

    `correlation_id` and `actor` are None where nobody tells them.
    """

    source: str
    time: datetime
    correlation_id: str | None = None
    actor: str | None = None


@value
class CloudEvent:
    """A fact; `type` is its routing key too, `data` is JSON text.

    `sequence` is the revision of the row that it tells of, None where it tells of no row.
    """

    type: str
    subject: str
    data: str
    sequence: int | None = None

    def body(self, event_id: str, context: EventContext) -> str:
        """Return the CloudEvent as JSON text."""
        related_to, actor = context.correlation_id, context.actor
        related = "" if related_to is None else f'"correlationid":{quote(related_to)},'
        sent_by = "" if actor is None else f'"actor":{quote(actor)},'
        place = "" if self.sequence is None else f'"sequence":"{self.sequence}",'
        return (
            f'{{"specversion":"1.0","id":"{event_id}","source":{quote(context.source)},'
            f'"type":"{self.type}","subject":{quote(self.subject)},"time":"{rfc3339(context.time)}",'
            f'{related}{sent_by}{place}"datacontenttype":"application/json","data":{self.data}}}'
        )
