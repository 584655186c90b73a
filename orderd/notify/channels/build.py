"""Makes the channels that the settings name."""

from collections.abc import Callable

from orderd.config.notify import (
    BaseChannel,
    SmtpChannel,
    WebhookChannel,
)
from orderd.config.notify_checks import signing_keys
from orderd.config.settings import Settings
from orderd.notify.channels.channel import Channel
from orderd.notify.channels.log import LogChannel as LogSender
from orderd.notify.channels.mail import sender_of
from orderd.notify.channels.smtp import SmtpChannel as SmtpSender
from orderd.notify.channels.webhook import WebhookChannel as WebhookSender
from orderd.runtime.config_errors import ConfigError, Problem


def build_channels(settings: Settings, keep_alive: Callable[[], None]) -> tuple[Channel, ...]:
    """Return a channel for each of the settings, in their order; raise ConfigError.

    Nothing is connected yet. *keep_alive* runs at least once a second while one sends.
    """
    notify = settings.notify
    origin = settings.origins.get(("notify", "channel"), "")
    channels: list[Channel] = []
    problems: list[Problem] = []
    for each in notify.channel:
        try:
            channels.append(build_channel(each, notify.credential(each), keep_alive))
        except ValueError as fault:
            problems.append(Problem(f"notify.channel.{each.name}", str(fault), origin))
    if problems:
        raise ConfigError(problems)
    return tuple(channels)


def build_channel(channel: BaseChannel, credential: str, keep_alive: Callable[[], None]) -> Channel:
    """Return the channel with its *credential*, which may be empty; raise ValueError."""
    match channel:
        case SmtpChannel():
            return _smtp(channel, credential, keep_alive)
        case WebhookChannel():
            return WebhookSender(channel.name, channel.server, signing_keys(credential), keep_alive)
        case _:
            return LogSender(channel.name)


def _smtp(channel: SmtpChannel, credential: str, keep_alive: Callable[[], None]) -> Channel:
    server = channel.server
    if server.user and not (server.password or credential):
        raise ValueError(
            f"url names a user but no password, and there is no credential notify_{channel.name}"
        )
    return SmtpSender(
        channel.name,
        server.with_password(credential or server.password),
        sender_of(channel.sender),
        keep_alive,
        needs_starttls=channel.starttls,
    )
