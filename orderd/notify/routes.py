"""Where notices go: the channels of the settings, and to whom on each."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from orderd.config.notify import BaseChannel, NotifySettings, SmtpChannel
from orderd.notify.channels.channel import Channel
from orderd.notify.message import Message
from orderd.notify.notice import Notice
from orderd.notify.records import Target, User
from orderd.notify.templates import DIGEST as DIGEST_TEMPLATE
from orderd.notify.templates import EVENT, GENERAL, Rendered, Templates, context_of
from orderd.notify.texts import safe_id
from orderd.protocol.notifications import OPEN_PREFIXES, Audience
from orderd.protocol.rows import rfc3339
from orderd.protocol.strict_json import dumps
from orderd.protocol.values import value

# The recipient of what administrators get on a channel that names none.
ADMINISTRATORS: Final = "admins"
# The type of a digest, as templates and webhooks name it, and who makes it.
DIGEST: Final = "notification.digest"
SOURCE: Final = "orderd-notify"


@value
class DigestLine:
    """One of the notifications that a digest sums up."""

    moment: datetime
    subject: str
    text: str


@value
class Digest:
    """Notifications of one type for one recipient, *count* in all; `lines` are the first ones."""

    id: str
    type: str
    recipient: str
    count: int
    lines: Sequence[DigestLine]


class Route:
    """One channel, with what goes over it and to whom."""

    def __init__(self, settings: BaseChannel, channel: Channel, templates: Templates) -> None:
        """Send by *channel* what *settings* say, in the words of *templates*."""
        self._settings = settings
        self._templates = templates
        self.channel = channel
        self.digest_s = settings.digest

    @property
    def name(self) -> str:
        """The name of the channel."""
        return self._settings.name

    @property
    def is_for_admins(self) -> bool:
        """Whether it is for administrators."""
        return self._settings.audience == Audience.ADMINS

    def takes(self, notice: Notice) -> bool:
        """Return whether the notice goes over this channel."""
        return self._settings.audience == notice.audience and self._settings.takes(notice.type)

    def targets(self, notice: Notice, user: User | None) -> list[Target]:
        """Return to whom *notice* goes over this channel; *user* may be unknown."""
        if self._settings.audience == Audience.USERS:
            address = "" if user is None else user.email
            return [Target(self.name, f"user/{notice.user_id}", address)]
        if isinstance(self._settings, SmtpChannel):
            return [Target(self.name, address, address) for address in self._settings.to]
        return [Target(self.name, ADMINISTRATORS, "")]

    def message(self, notice: Notice, target: Target, user: User | None) -> Message:
        """Return what is sent to *target*; the same id every time."""
        text = self.rendered(notice, user)
        return Message(
            id=safe_id(f"{notice.event_id}.{target.channel}.{target.recipient}"),
            type=notice.type,
            address=target.address,
            subject=text.subject,
            text=text.text,
            event=notice.cloud_event(),
        )

    def digest(self, digest: Digest) -> Message:
        """Return what is sent as *digest*; the same id every time."""
        data = _summed_up(digest)
        event = {
            "specversion": "1.0",
            "id": digest.id,
            "source": SOURCE,
            "type": DIGEST,
            "datacontenttype": "application/json",
            "data": data,
        }
        text = self._templates.render(DIGEST_TEMPLATE, data)
        is_mail = isinstance(self._settings, SmtpChannel)
        return Message(
            id=f"digest-{digest.id}",
            type=DIGEST,
            address=digest.recipient if is_mail else "",
            subject=text.subject,
            text=text.text,
            event=dumps(event),
        )

    def rendered(self, notice: Notice, user: User | None) -> Rendered:
        """Return the notice in words; raises `Unrenderable`."""
        return rendered(self._templates, notice, user)


def rendered(templates: Templates, notice: Notice, user: User | None) -> Rendered:
    """Return the notice in the words of *templates*; raises `Unrenderable`."""
    name, general = template_names(notice)
    return templates.render(name, context_of(_told(notice), _known(user)), general)


def template_names(notice: Notice) -> tuple[str, str]:
    """Return by which name the notice has a template, and the one to take where it has none."""
    general = EVENT if notice.is_event else GENERAL[notice.audience]
    # Other services name types as they like; templates of events are not for them.
    is_named = notice.is_event or notice.type.startswith(OPEN_PREFIXES[notice.audience])
    return notice.type if is_named else general, general


class Routes:
    """All channels, as one configuration has them."""

    def __init__(
        self, settings: NotifySettings, channels: Sequence[Channel], templates: Templates
    ) -> None:
        """Send by *channels*, which are those of *settings*, in their order."""
        self._routes: Sequence[Route] = [
            Route(each, channel, templates)
            for each, channel in zip(settings.channel, channels, strict=True)
        ]

    def of(self, notice: Notice) -> list[Route]:
        """Return the channels over which *notice* goes."""
        return [route for route in self._routes if route.takes(notice)]

    @property
    def names(self) -> list[str]:
        """The names of the channels."""
        return [route.name for route in self._routes]

    @property
    def for_admins(self) -> list[Route]:
        """The channels that may have gathered what came at once."""
        return [route for route in self._routes if route.is_for_admins]

    def rest(self) -> None:
        """Let connections go that have been idle for long; to be called freely."""
        for route in self._routes:
            route.channel.rest()

    def close(self) -> None:
        """Let all connections go."""
        for route in self._routes:
            route.channel.close()


def _summed_up(digest: Digest) -> dict[str, Any]:
    """Return what a digest has, for templates and webhooks."""
    messages = [
        {"time": rfc3339(each.moment), "subject": each.subject, "text": each.text}
        for each in digest.lines
    ]
    since = messages[0]["time"] if messages else None
    return {"type": digest.type, "count": digest.count, "since": since, "messages": messages}


def _told(notice: Notice) -> dict[str, Any]:
    """Return the attributes and data of a notice, as templates name them."""
    return {
        "id": notice.event_id,
        "type": notice.type,
        "source": notice.source,
        "subject": notice.subject,
        "time": notice.time,
        "correlation_id": notice.correlation_id,
        "data": notice.data,
    }


def _known(user: User | None) -> dict[str, Any] | None:
    if user is None:
        return None
    return {
        "id": user.id,
        "email": user.email,
        "username": user.username,
        "full_name": user.full_name,
    }
