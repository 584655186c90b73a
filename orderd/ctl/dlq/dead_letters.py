"""Dead letters: what one says, and the message that it was before."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any, Final

from orderd.amqp.message import Delivery, OutgoingMessage, Properties
from orderd.amqp.renewal import count_in
from orderd.protocol.limits import REQUEST_ID_MAX
from orderd.protocol.masking import masked_body, masked_value
from orderd.protocol.names import (
    BROKER_HEADERS,
    DEAD_LETTER_HEADERS,
    HEADER_ATTEMPT,
    HEADER_CODE,
    HEADER_EXPIRATION,
    HEADER_FAILED_AT,
    HEADER_PLACE,
    HEADER_QUEUE,
    HEADER_REASON,
    HEADER_REPLAYED,
    HEADER_USER_ID,
    QUEUES,
    NoticeQueue,
    dead_letter_queue,
)
from orderd.protocol.rows import rfc3339
from orderd.protocol.strict_json import MalformedJson, loads

_EXPIRATION_MAX_MS: Final = 2**32 - 1


@dataclass(frozen=True, eq=False)
class DeadLetter:
    """A message that waits in a dead letter queue or in a retry queue."""

    delivery: Delivery

    @property
    def headers(self) -> Mapping[str, Any]:
        """The headers, none or many."""
        return self.delivery.properties.headers or {}

    @property
    def origin(self) -> str:
        """The queue that it came from: as its header says, else by its queue's name."""
        named = self.text(HEADER_QUEUE)
        if named in QUEUES:
            return named
        return self.delivery.queue.partition(".")[0]

    @cached_property
    def request(self) -> Any:
        """What the body says: JSON decoded, else text, else bytes."""
        body = self.delivery.body
        try:
            return loads(body)
        except MalformedJson:
            pass
        try:
            return body.decode()
        except UnicodeDecodeError:
            return body

    @property
    def is_notice(self) -> bool:
        """Whether it came from a queue of notifications."""
        return self.origin in tuple(NoticeQueue)

    @property
    def request_id(self) -> str | None:
        """The id of the request or event where it has one that could be on record."""
        envelope = self.request if isinstance(self.request, dict) else {}
        found = envelope.get("id", self.delivery.properties.message_id)
        return found if _is_id(found) else None

    def was_given(self, event_id: str) -> bool:
        """Return whether *event_id* is what orderd-notify gave to this message, which has none."""
        if not self.is_notice or self.request_id is not None:
            return False
        from orderd.notify.decoder import given_prefix  # noqa: PLC0415 (slow to load)

        origin = replace(self.delivery, queue=self.origin)
        return event_id.startswith(f"{given_prefix(origin)}.")

    @property
    def action(self) -> str | None:
        """The action in the body, of a notification its type; None if it cannot be decoded."""
        name = "type" if self.is_notice else "action"
        action = self.request.get(name) if isinstance(self.request, dict) else None
        return action if isinstance(action, str) else None

    @property
    def code(self) -> str | None:
        """Why it is dead, None for a message that orderd did not put there."""
        return self.text(HEADER_CODE)

    @property
    def replayed(self) -> int:
        """How often `orderctl dlq replay` has published it again."""
        return count_in(self.delivery, HEADER_REPLAYED)

    @property
    def failed_at(self) -> datetime | None:
        """The time of dead-lettering, in UTC."""
        try:
            moment = datetime.fromisoformat(self.text(HEADER_FAILED_AT) or "")
        except ValueError:
            return None
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    def text(self, name: str) -> str | None:
        """Return the header *name* if it is a text."""
        value = self.headers.get(name)
        return value if isinstance(value, str) else None

    def document(self) -> dict[str, Any]:
        """Return the dead letter as the contract has it, for JSON; tokens in it are masked."""
        request = self.request
        is_text = isinstance(request, str)
        return {
            "failed_at": self.text(HEADER_FAILED_AT),
            "reason": self.text(HEADER_REASON),
            "code": self.code,
            "queue": self.origin,
            "attempt": jsonable(self.headers.get(HEADER_ATTEMPT)),
            "request": masked_body(request) if is_text else jsonable(masked_value(request)),
            "headers": jsonable(masked_value(self.headers)),
        }

    def summary(self) -> dict[str, Any]:
        """Return what tells it from others, for JSON."""
        return {
            "dead_letter_queue": self.delivery.queue,
            "failed_at": self.text(HEADER_FAILED_AT),
            "code": self.code,
            "id": self.request_id,
            "action": self.action,
            "attempt": jsonable(self.headers.get(HEADER_ATTEMPT)),
            "body_bytes": len(self.delivery.body),
            "reason": self.text(HEADER_REASON),
        }

    def original(self, user: str | None) -> OutgoingMessage:
        """Return the message that it was, to be published to its queue, attempts not counted.

        A header counts the replays, so that it is known should the message become one again.

        *user* is who publishes: the broker takes no other `user_id`. A property that cannot be
        given back stays in its header.
        """
        return OutgoingMessage(
            "", self.origin, self.delivery.body, self._properties(user), mandatory=True
        )

    def _properties(self, user: str | None) -> Properties:
        headers = {
            name: value
            for name, value in self.headers.items()
            if name not in DEAD_LETTER_HEADERS
            and name not in {HEADER_ATTEMPT, HEADER_PLACE}
            and not name.startswith(BROKER_HEADERS)
        }
        properties = self.delivery.properties
        if _is_expiration(headers.get(HEADER_EXPIRATION)):
            properties = replace(properties, expiration=headers.pop(HEADER_EXPIRATION))
        if user is not None and headers.get(HEADER_USER_ID) == user:
            properties = replace(properties, user_id=headers.pop(HEADER_USER_ID))
        return replace(properties, headers=headers | {HEADER_REPLAYED: self.replayed + 1})


def dead_letter_queues(queue: str | Sequence[str] | None) -> list[str]:
    """Return the dead letter queues of *queue*, one or more or their own names; None: all."""
    queues = [queue] if isinstance(queue, str) else QUEUES if queue is None else queue
    return [dead_letter_queue(each.removesuffix(dead_letter_queue(""))) for each in queues]


def _is_id(value: object) -> bool:
    if not isinstance(value, str) or not 1 <= len(value) <= REQUEST_ID_MAX or "\0" in value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_expiration(value: object) -> bool:
    """Return whether the broker takes *value*; it closes the channel over any other."""
    if not (isinstance(value, str) and value.isascii() and value.isdigit()):
        return False
    return len(value) <= len(str(_EXPIRATION_MAX_MS)) and int(value) <= _EXPIRATION_MAX_MS


def jsonable(value: Any) -> Any:
    """Return *value*, a header or what contains it, as JSON can have it."""
    match value:
        case bytes():
            return {"base64": base64.b64encode(value).decode()}
        case datetime():
            return rfc3339(value)
        case float():
            return Decimal(repr(value)) if value - value == 0 else str(value)
        case Mapping():
            return {str(name): jsonable(inner) for name, inner in value.items()}
        case list():
            return [jsonable(inner) for inner in value]
    return value
