"""Credentials of channels of notifications, and what is allowed there but not recommended."""

import base64
import binascii
from typing import Final

from orderd.config.notify import (
    BaseChannel,
    LogChannel,
    NotifySettings,
    SmtpChannel,
    WebhookChannel,
)
from orderd.config.notify_urls import is_loopback

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - what secrets begin with
_SECRET_BYTES: Final = range(24, 65)


def credential_faults(settings: NotifySettings) -> dict[str, str]:
    """Return by name of the channel why its credential cannot be used, without quoting it."""
    channels = {each.name: each for each in settings.channel}
    faults = {
        name: _credential_fault(channels[name], secret.get_secret_value())
        if name in channels
        else f"no channel has this name; there are {', '.join(channels)}"
        for name, secret in settings.credentials.items()
    }
    return {name: fault for name, fault in faults.items() if fault}


def signing_keys(secrets: str) -> tuple[bytes, ...]:
    """Return the key of each `whsec_…` of a webhook, of which several may stand; raise ValueError.

    Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """
    keys = []
    for secret in secrets.split():
        try:
            key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if not secret.startswith(SECRET_PREFIX) or len(key) not in _SECRET_BYTES:
            sizes = f"{_SECRET_BYTES.start} to {_SECRET_BYTES.stop - 1}"
            raise ValueError(f"must be {SECRET_PREFIX} and {sizes} bytes in Base64")
        keys.append(key)
    return tuple(keys)


def doubts(settings: NotifySettings) -> list[str]:
    """Return what is allowed and not recommended."""
    return [
        f"notify.channel.{each.name}: password in clear to {each.server.host} (starttls = false)"
        for each in settings.channel
        if isinstance(each, SmtpChannel)
        and each.server.user
        and not each.starttls
        and not each.server.is_tls
        and not is_loopback(each.server.host)
    ]


def _credential_fault(channel: BaseChannel, secret: str) -> str | None:
    match channel:
        case LogChannel():
            return "a channel of kind log has no credential"
        case SmtpChannel() if not channel.server.user:
            return "its url names no user (smtp://USER@HOST), so there is no login"
        case SmtpChannel() if channel.server.password:
            return "its url has a password already"
        case SmtpChannel() if "\n" in secret or "\0" in secret:
            return "must be one line"
        case WebhookChannel():
            try:
                signing_keys(secret)
            except ValueError as fault:
                return str(fault)
    return None
