"""Shows the settings: the values in force, and the reference of what can be set."""

from collections.abc import Callable, Mapping

from pydantic import SecretStr

from orderd.config.durations import format_duration
from orderd.config.jwt import JwtSettings
from orderd.config.notify import MODELS, BaseChannel, NotifySettings
from orderd.config.notify_urls import shown_url
from orderd.config.settings import RELOADABLE, Settings, has_mark
from orderd.config.sources import PREFIX
from orderd.config.tokens import Token
from orderd.logs.redaction import redact
from orderd.protocol.values import value


@value
class SettingRow:
    """One setting in force; passwords in the value are hidden."""

    key: str
    value: str
    source: str


@value
class ReferenceRow:
    """What can be set under a name, in the words of the documentation."""

    key: str
    variable: str
    default: str
    reloadable: bool
    description: str


def describe(settings: Settings, masks: Mapping[str, Callable[[str], str]]) -> list[SettingRow]:
    """Return a row per setting, in the order of the reference, and one per token.

    *masks* hide the passwords of those settings whose grammar only their driver knows.
    """
    rows: list[SettingRow] = []
    for key in Settings.model_fields:
        value = getattr(settings, key)
        if isinstance(value, NotifySettings):
            rows += _notify_rows(settings, value)
        elif isinstance(value, JwtSettings):
            rows += [
                SettingRow(f"{key}.{name}", shown(each), _source(settings, (key, name)))
                for name, each in value
            ]
        elif isinstance(value, Mapping) and value:
            names = [(key, name) for name in value]
            rows += [
                SettingRow(".".join(path), shown(value[path[1]]), _source(settings, path))
                for path in names
            ]
        else:
            is_masked = key in masks and isinstance(value, SecretStr)
            text = masks[key](value.get_secret_value()) if is_masked else shown(value)
            rows.append(SettingRow(key, text, _source(settings, (key,))))
    return rows


def _notify_rows(settings: Settings, notify: NotifySettings) -> list[SettingRow]:
    """Return a row for the directory of templates and one per channel."""
    source = _source(settings, ("notify", "templates"))
    rows = [SettingRow("notify.templates", notify.templates, source)]
    for channel in notify.channel:
        origins = [_source(settings, ("notify", "channel"))]
        if channel.name in notify.credentials:
            origins.append(_source(settings, ("notify", "credentials", channel.name)))
        rows.append(
            SettingRow(f"notify.channel.{channel.name}", shown(channel), ", ".join(origins))
        )
    return rows


@value
class ChannelRow:
    """What can be set for a channel of notifications under a key."""

    key: str
    kinds: tuple[str, ...]
    default: str
    description: str


def channel_reference() -> list[ChannelRow]:
    """Return a row per key of channels of notifications, or two where kinds differ in it."""
    kinds: dict[tuple[str, str], list[str]] = {}
    defaults: dict[str, object] = {}
    for kind, model in MODELS.items():
        for name, field in model.model_fields.items():
            if field.description:
                kinds.setdefault((field.alias or name, field.description), []).append(kind)
                defaults[field.alias or name] = None if field.is_required() else field.default
    return [
        ChannelRow(key, tuple(having), shown(defaults[key] or ""), description)
        for (key, description), having in kinds.items()
    ]


def reference() -> list[ReferenceRow]:
    """Return a row per setting that can be made, in the order of the documentation."""
    return [
        ReferenceRow(
            key=key,
            variable=f"{PREFIX}{key.upper()}",
            # What a factory makes differs from machine to machine; its description says what.
            default="" if field.default_factory else shown(field.default),
            reloadable=has_mark(key, RELOADABLE),
            description=field.description or "",
        )
        for key, field in Settings.model_fields.items()
    ]


def shown(value: object) -> str:
    """Return the value as it would be written in the file, without quotes and passwords."""
    match value:
        case None:
            text = ""
        case SecretStr():
            text = redact(value.get_secret_value())
        case Token():
            text = shown(value.allow)
        case BaseChannel():
            text = _shown_channel(value)
        case bool():
            text = "true" if value else "false"
        case float():
            text = format_duration(value)
        case tuple():
            text = ", ".join(shown(part) for part in value)
        case Mapping():
            text = ", ".join(value)
        case _:
            text = str(value)
    return text


def _shown_channel(channel: BaseChannel) -> str:
    """Return every key that is set, in the words of the file; what is secret in a URL is hidden."""
    keys = {field.alias or name: name for name, field in type(channel).model_fields.items()}
    values = {key: getattr(channel, name) for key, name in keys.items() if key != "name"}
    texts = {
        key: shown_url(given.get_secret_value()) if isinstance(given, SecretStr) else shown(given)
        for key, given in values.items()
        if given not in {None, ()}
    }
    order = dict.fromkeys(("kind", *texts))
    return "; ".join(f"{key} {texts[key]}" for key in order)


def _source(settings: Settings, path: tuple[str, ...]) -> str:
    """Return where the value came from; of a table set in several places, all of them."""
    origins = settings.origins
    found = [origins[path[:end]] for end in range(len(path), 0, -1) if path[:end] in origins]
    inner = [
        origin for at, origin in origins.items() if len(at) > len(path) and at[: len(path)] == path
    ]
    return ", ".join(dict.fromkeys(inner + found[:1])) or "default"
