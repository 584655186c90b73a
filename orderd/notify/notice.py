"""Decodes a message's body into what is to be told, or into the reason why it is not that."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from orderd.protocol.explain import explain, shown
from orderd.protocol.fields import Identity
from orderd.protocol.limits import REQUEST_ID_MAX
from orderd.protocol.names import InvalidCode, NoticeQueue
from orderd.protocol.notifications import TYPES, Audience
from orderd.protocol.strict_json import MalformedJson, dumps, loads
from orderd.protocol.values import value
from orderd.shop.outcomes import Invalid

# As log and metrics name what other services have to tell, and a type that is not known.
PLAIN: Final = "notification"
OTHER_TYPE: Final = "other"
MESSAGE_CHARS_MAX: Final = 10_000
_AUDIENCES: Final = {NoticeQueue.USER: Audience.USERS, NoticeQueue.ADMIN: Audience.ADMINS}


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must not contain characters that cannot be printed")
    return text


_Text = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_printable)]
_Id = Annotated[str, Field(min_length=1, max_length=REQUEST_ID_MAX), AfterValidator(_printable)]
_STRICT: Final = ConfigDict(strict=True, frozen=True, extra="forbid", defer_build=True)
# What a later version of an event has besides is no fault.
_LENIENT: Final = ConfigDict(strict=True, frozen=True, extra="allow", defer_build=True)


class Event(BaseModel):
    """A CloudEvent, of which notifications need no more."""

    model_config = _LENIENT

    specversion: Literal["1.0"]
    id: _Id
    type: _Text
    source: _Text
    time: _Text | None = None
    subject: _Text | None = None
    correlationid: _Id | None = None
    data: dict[str, Any]


class Payload(BaseModel):
    """What another service has to tell."""

    model_config = _STRICT

    user_id: Identity | None = None
    message: Annotated[str, Field(min_length=1, max_length=MESSAGE_CHARS_MAX)]
    notification_type: Literal["info", "warning", "error"]


class PlainNotification(BaseModel):
    """A notification of another service."""

    model_config = _STRICT

    id: _Id | None = None
    type: _Text
    source: _Text
    payload: Payload
    correlation_id: _Id | None = None


@value
class Notice:
    """What is to be told: `type` says what of, `data` is that of the event.

    `sender_id` is what its sender calls it. `event_id` is that, or a key that was given to it.
    `user_id` is None where it is for administrators. `is_event`: it came as a CloudEvent;
    `extensions` are the attributes of it that are not here.
    """

    queue: str
    type: str
    source: str
    sender_id: str | None
    event_id: str
    user_id: int | None
    time: str | None
    subject: str | None
    extensions: Mapping[str, Any]
    data: Mapping[str, Any]
    correlation_id: str | None
    is_event: bool
    attempt: int = 0

    @property
    def audience(self) -> Audience:
        """For whom it is."""
        return _AUDIENCES[NoticeQueue(self.queue)]

    @property
    def action(self) -> str:
        """Its type, as far as that is one of orderd's events."""
        if not self.is_event:
            return PLAIN
        return self.type if self.type in TYPES[self.audience] else OTHER_TYPE

    @property
    def request_id(self) -> str:
        """What it is known by."""
        return self.event_id

    @property
    def place(self) -> str:
        """What its retries bring along, where its sender gave it no id."""
        return "" if self.sender_id is not None else self.event_id

    @property
    def actor(self) -> str | None:
        """Nobody: services publish notices, and orderd its events."""
        return None

    @property
    def is_query(self) -> bool:
        """Whether it is worth nothing without an answer: never."""
        return False

    @property
    def is_recorded(self) -> bool:
        """Whether a record keeps it from being sent twice: always."""
        return True

    def cloud_event(self) -> str:
        """Return it as a CloudEvent in JSON."""
        event: dict[str, Any] = {
            "specversion": "1.0",
            "id": self.event_id,
            "source": self.source,
            "type": self.type,
            "subject": self.subject,
            "time": self.time,
            "datacontenttype": "application/json",
            "correlationid": self.correlation_id,
            **self.extensions,
        }
        given = {name: content for name, content in event.items() if content is not None}
        return dumps({**given, "data": self.data})


class _Refused(Exception):
    def __init__(self, code: InvalidCode, message: str) -> None:
        super().__init__(message)
        self.code = code


def decode(
    queue: str, body: bytes, message_id: str | None, attempt: int, body_bytes_max: int
) -> Notice | Invalid:
    """Return what the message in *queue* tells, or why it tells nothing that can be sent.

    *message_id* is the property of that name; it counts where the body has no id. The notice has
    no `event_id` where both are missing.
    """
    if len(body) > body_bytes_max:
        message = f"body has {len(body)} bytes; at most {body_bytes_max} are allowed"
        return Invalid(InvalidCode.TOO_LARGE, message)
    try:
        content = _object(loads(body))
        if "specversion" in content:
            notice = _event(queue, content, attempt)
        else:
            notice = _plain(queue, content, _message_id(message_id), attempt)
    except MalformedJson as error:
        return Invalid(InvalidCode.MALFORMED, f"body {error}")
    except _Refused as error:
        return Invalid(error.code, str(error))
    except ValidationError as error:
        return Invalid(InvalidCode.INVALID_DATA, explain(error, root=""))
    if notice.audience is Audience.USERS and notice.user_id is None:
        field = "data.user_id" if notice.is_event else "payload.user_id"
        return Invalid(
            InvalidCode.INVALID_DATA, f"{field} is missing", notice.sender_id, notice.action
        )
    return notice


def _object(content: object) -> dict[str, Any]:
    if not isinstance(content, dict):
        text = f"body must be a JSON object; got {shown(content)}"
        raise _Refused(InvalidCode.MALFORMED, text)
    return content


def _event(queue: str, content: dict[str, Any], attempt: int) -> Notice:
    event = Event.model_validate(content)
    user_id = event.data.get("user_id")
    is_for_user = queue == NoticeQueue.USER
    if is_for_user and user_id is not None and (type(user_id) is not int or user_id < 1):
        text = f"data.user_id must be an integer of at least 1; got {shown(user_id)}"
        raise _Refused(InvalidCode.INVALID_DATA, text)
    return Notice(
        queue=queue,
        type=event.type,
        source=event.source,
        sender_id=event.id,
        event_id=event.id,
        user_id=user_id if is_for_user else None,
        time=event.time,
        subject=event.subject,
        extensions=event.model_extra or {},
        data=event.data,
        correlation_id=event.correlationid,
        is_event=True,
        attempt=attempt,
    )


def _plain(queue: str, content: dict[str, Any], message_id: str | None, attempt: int) -> Notice:
    plain = PlainNotification.model_validate(content)
    payload = plain.payload
    own_id = plain.id or message_id
    return Notice(
        queue=queue,
        type=plain.type,
        source=plain.source,
        sender_id=own_id,
        event_id=own_id or "",
        user_id=payload.user_id if queue == NoticeQueue.USER else None,
        time=None,
        subject=None,
        extensions={},
        data=payload.model_dump(exclude_none=True),
        correlation_id=plain.correlation_id,
        is_event=False,
        attempt=attempt,
    )


def _message_id(text: str | None) -> str | None:
    if not text or len(text) > REQUEST_ID_MAX or "\x00" in text or not _is_unicode(text):
        return None
    return text


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
