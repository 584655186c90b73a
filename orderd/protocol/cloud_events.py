"""CloudEvents 1.0 in structured JSON: the events that orderd publishes.

Source of the form: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
"""

from datetime import datetime
from enum import StrEnum
from typing import Final

from orderd.protocol.rows import rfc3339
from orderd.protocol.strict_json import quote
from orderd.protocol.values import value

CONTENT_TYPE: Final = "application/cloudevents+json"


class SystemEvent(StrEnum):
    """What events tell of daemons and messages; an entity has events of its own."""

    STARTED = "system.started"
    PAUSED = "system.paused"
    RESUMED = "system.resumed"
    STOPPING = "system.stopping"
    DEAD_LETTERED = "system.dead_lettered"


@value
class CloudEvent:
    """A fact; `type` is its routing key too, `data` is JSON text.

    `sequence` is the revision of the row that it tells of, None where it tells of no row.
    """

    type: str
    subject: str
    data: str
    sequence: int | None = None

    def body(self, event_id: str, source: str, time: datetime, correlation_id: str | None) -> str:
        """Return the CloudEvent as JSON text."""
        related = "" if correlation_id is None else f'"correlationid":{quote(correlation_id)},'
        place = "" if self.sequence is None else f'"sequence":"{self.sequence}",'
        return (
            f'{{"specversion":"1.0","id":"{event_id}","source":{quote(source)},'
            f'"type":"{self.type}","subject":{quote(self.subject)},"time":"{rfc3339(time)}",'
            f'{related}{place}"datacontenttype":"application/json","data":{self.data}}}'
        )
