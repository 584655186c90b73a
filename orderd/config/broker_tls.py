"""TLS to RabbitMQ: what the settings say of it, what of that cannot work, what is not advisable."""

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlsplit

from orderd.config.notify_urls import is_loopback
from orderd.runtime.config_errors import ConfigError, Problem
from orderd.runtime.tls import CA_FILE, CERT_FILE, KEY_FILE, TlsFiles, UnusableFile, client_context

if TYPE_CHECKING:
    from orderd.config.settings import Settings

_TLS: Final = "amqps"
_URL_OPTION: Final = "ssl_options"


def broker_tls(settings: "Settings") -> TlsFiles:
    """Return the files, of which each can be used now; raise ConfigError with what is wrong."""
    files = TlsFiles(
        settings.rabbitmq_ca_file, settings.rabbitmq_cert_file, settings.rabbitmq_key_file
    )
    if not files.given:
        return files
    problems = [*_lonely(files, settings), *_contradicted(files, settings)]
    if not problems:
        try:
            client_context(files)
        except UnusableFile as error:
            problems = [_problem(settings, error.setting, error.reason)]
    if problems:
        raise ConfigError(problems)
    return files


def without_files(settings: "Settings") -> "Settings":
    """Return *settings* without the files, for who may see only a part of the settings."""
    return settings.model_copy(update=dict.fromkeys((CA_FILE, CERT_FILE, KEY_FILE), ""))


def unencrypted_brokers(settings: "Settings") -> list[str]:
    """Return which URLs send passwords and messages over the network in clear."""
    parts = [urlsplit(url.get_secret_value()) for url in settings.rabbitmq_url]
    return [
        f"rabbitmq_url: password and messages in clear to {each.hostname}; use amqps://"
        for each in parts
        if each.scheme != _TLS and not is_loopback(each.hostname or "")
    ]


def _lonely(files: TlsFiles, settings: "Settings") -> list[Problem]:
    """Return whether a certificate stands without its key, or a key without its certificate."""
    pair = {CERT_FILE, KEY_FILE}
    lonely = pair & files.given.keys()
    if len(lonely) != 1:
        return []
    (setting,) = lonely
    (missing,) = pair - lonely
    return [_problem(settings, setting, f"needs {missing}, too")]


def _contradicted(files: TlsFiles, settings: "Settings") -> list[Problem]:
    """Return what the URLs say against the files: no TLS at all, or files of their own."""
    first = next(iter(files.given))
    problems = []
    for position, url in enumerate(settings.rabbitmq_url, start=1):
        parts = urlsplit(url.get_secret_value())
        which = f"URL {position} of rabbitmq_url" if settings.rabbitmq_url[1:] else "rabbitmq_url"
        if parts.scheme != _TLS:
            reason = (
                f"has no effect on an amqp:// URL, which sends in clear: {which} needs amqps://"
            )
            problems.append(_problem(settings, first, reason))
        elif any(name.lower() == _URL_OPTION for name, _ in parse_qsl(parts.query)):
            reason = f"contradicts {_URL_OPTION} in {which}: leave one of them out"
            problems.append(_problem(settings, first, reason))
    return problems


def _problem(settings: "Settings", setting: str, reason: str) -> Problem:
    origin = settings.origins.get((setting,), "")
    return Problem(setting, reason, origin, repr(getattr(settings, setting)))
