"""The settings of notifications: over which channels which of them go to whom."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
)

from orderd.config.notify_urls import MailServer, WebServer, mail_server, web_server
from orderd.config.types import Listed, Mapped, Seconds
from orderd.protocol.mail_addresses import split_address, split_mailbox
from orderd.protocol.notifications import OPEN_PREFIXES, TYPES, Audience
from orderd.runtime.paths import TEMPLATES_DIRECTORY

CHANNELS_MAX: Final = 50
_MODEL: Final = ConfigDict(
    frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True, validate_default=True
)


def _address(text: str) -> str:
    split_address(text)
    return text


def _mailbox(text: str) -> str:
    split_mailbox(text)
    return text


def _mail_url(url: SecretStr) -> SecretStr:
    mail_server(url.get_secret_value())
    return url


def _web_url(url: SecretStr) -> SecretStr:
    web_server(url.get_secret_value())
    return url


_Pattern = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.*#-]+$", max_length=255)]


class BaseChannel(BaseModel):
    """What every channel has."""

    model_config = _MODEL

    name: Annotated[str, Field(pattern=r"^([a-z][a-z0-9_-]*)?$", max_length=32)] = Field(
        default="",
        description="name in logs, tables and credentials; default: its kind, or where that is "
        "taken its kind with -2, -3 …",
    )
    audience: Audience = Field(alias="for", description="`users` or `admins`")
    types: Annotated[tuple[_Pattern, ...], Listed] = Field(
        default=("*",),
        min_length=1,
        max_length=100,
        description="types of notifications that it takes; `*` and `#` stand for any text",
    )
    digest: Annotated[Seconds, Field(ge=1, le=86_400)] | None = Field(
        default=None,
        description="for admins: the first of a type goes at once, and those of the same type "
        "within this time after it together as one, 1s to 1d; default: each goes alone",
    )

    def takes(self, notification_type: str) -> bool:
        """Return whether notifications of this type go over the channel."""
        return any(fnmatchcase(notification_type, _glob(pattern)) for pattern in self.types)

    @field_validator("types")
    @classmethod
    def _can_come(cls, types: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        audience = info.data.get("audience")
        for pattern in types:
            if audience is not None and not _can_match(pattern, audience):
                raise ValueError(f"{pattern} is no type of notifications for {audience}")
        return types

    @field_validator("digest")
    @classmethod
    def _for_admins(cls, digest: float | None, info: ValidationInfo) -> float | None:
        if digest is not None and info.data.get("audience") == Audience.USERS:
            raise ValueError("only for admins")
        return digest


class LogChannel(BaseChannel):
    """A line in the log of the daemon."""

    kind: Literal["log"]


class SmtpChannel(BaseChannel):
    """Mail through a server that takes it."""

    kind: Literal["smtp"]
    url: Annotated[SecretStr, AfterValidator(_mail_url)] = Field(
        description="smtp://HOST:PORT (25), or smtps:// (465) with TLS from the start; with "
        "USER@ or USER:PASSWORD@ before the host to log in"
    )
    starttls: bool = Field(
        default=True,
        description="require STARTTLS of an smtp:// server; false: send in clear",
    )
    sender: Annotated[str, AfterValidator(_mailbox)] = Field(
        alias="from",
        max_length=400,
        description='sender, such as "orders@shop.example" or "Shop <orders@shop.example>"',
    )
    to: Annotated[tuple[Annotated[str, AfterValidator(_address)], ...], Listed] = Field(
        default=(),
        max_length=100,
        description="addresses of the administrators, a mail for each; users have their own",
    )

    @property
    def server(self) -> MailServer:
        """The server of the URL."""
        return mail_server(self.url.get_secret_value())

    @field_validator("to")
    @classmethod
    def _recipients(cls, to: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        audience = info.data.get("audience")
        if audience == Audience.ADMINS and not to:
            raise ValueError("is required for admins")
        if audience == Audience.USERS and to:
            raise ValueError("only for admins; users have addresses of their own")
        if len(set(to)) < len(to):
            raise ValueError("has an address twice")
        return to


class WebhookChannel(BaseChannel):
    """A POST of the event to a web server."""

    kind: Literal["webhook"]
    url: Annotated[SecretStr, AfterValidator(_web_url)] = Field(
        description="https:// URL, or http:// of this machine"
    )

    @property
    def server(self) -> WebServer:
        """The server of the URL."""
        return web_server(self.url.get_secret_value())


MODELS: Final[Mapping[str, type[BaseChannel]]] = {
    "log": LogChannel,
    "smtp": SmtpChannel,
    "webhook": WebhookChannel,
}
ChannelSettings = Annotated[LogChannel | SmtpChannel | WebhookChannel, Field(discriminator="kind")]


def _lines_for_all() -> tuple[LogChannel, ...]:
    return tuple(LogChannel.model_validate({"kind": "log", "for": each}) for each in Audience)


def _with_kinds(channels: object) -> object:
    """Return the channels, each of a known kind: pydantic's own words for that are odd."""
    if isinstance(channels, Sequence) and not isinstance(channels, str):
        for position, each in enumerate(channels, start=1):
            kind = each.get("kind") if isinstance(each, Mapping) else None
            if isinstance(each, Mapping) and (not isinstance(kind, str) or kind not in MODELS):
                found = "" if kind is None else f", not {str(kind)[:50]!r}"
                raise ValueError(f"channel {position}: kind must be {_KINDS}{found}")
    return channels


_KINDS: Final = "log, smtp or webhook"
_Channels = Annotated[tuple[ChannelSettings, ...], BeforeValidator(_with_kinds), Mapped]


class NotifySettings(BaseModel):
    """Channels, templates, and the credentials of channels by name."""

    model_config = _MODEL

    channel: _Channels = Field(
        default_factory=_lines_for_all, min_length=1, max_length=CHANNELS_MAX
    )
    templates: str = Field(
        default=TEMPLATES_DIRECTORY, max_length=255, pattern=r"^(/[^\x00\n]*[^/\x00\n])?$"
    )
    credentials: Annotated[Mapping[str, SecretStr], Mapped] = Field(default_factory=dict)

    @field_validator("channel", mode="after")
    @classmethod
    def _named(cls, channels: tuple[Any, ...]) -> tuple[Any, ...]:
        given = [each.name for each in channels if each.name]
        for name in given:
            if given.count(name) > 1:
                raise ValueError(f"two channels have the name {name}")
        named = []
        for each in channels:
            name = each.name or _free_name(each.kind, given)
            given.append(name)
            named.append(each.model_copy(update={"name": name}))
        return tuple(named)

    def credential(self, channel: BaseChannel) -> str:
        """Return the credential of the channel, or an empty text."""
        secret = self.credentials.get(channel.name)
        return "" if secret is None else secret.get_secret_value()

    def with_any_passwords(self) -> Self:
        """Return the same with a password for each mail server, whatever it is."""
        given = {
            each.name: SecretStr("?") for each in self.channel if isinstance(each, SmtpChannel)
        }
        return self.model_copy(update={"credentials": {**given, **self.credentials}})


def channel_keys(model: type[BaseChannel]) -> tuple[str, ...]:
    """Return the keys of a channel as they stand in the file."""
    return tuple(field.alias or name for name, field in model.model_fields.items())


def _free_name(kind: str, taken: Sequence[str]) -> str:
    candidates = (kind, *(f"{kind}-{number}" for number in range(2, CHANNELS_MAX + 2)))
    return next(name for name in candidates if name not in taken)


def _glob(pattern: str) -> str:
    return pattern.replace("#", "*")


def _can_match(pattern: str, audience: Audience) -> bool:
    glob, prefix = _glob(pattern), OPEN_PREFIXES[audience]
    fixed = glob.partition("*")[0]
    is_open = fixed.startswith(prefix) or ("*" in glob and prefix.startswith(fixed))
    return is_open or any(fnmatchcase(each, glob) for each in TYPES[audience])
