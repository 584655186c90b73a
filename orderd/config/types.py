"""The types that settings are made of: durations, lists as texts, URLs that hide themselves."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, SecretStr

from orderd.config.durations import parse_duration
from orderd.config.json_tables import DuplicateName, json_table
from orderd.protocol.names import Queue

EXCLUSIVE: Final = "exclusive"
SHARED: Final = "shared"
Mode = Literal["shared", "exclusive"]

_NEXT_URL = re.compile(r",\s*(?=[A-Za-z][A-Za-z0-9+.-]*://)")
_DATABASE_URL = re.compile(r"postgres(ql)?://")
_DATABASE_KEYWORDS = re.compile(r"\s*[a-z_]+\s*=")


def _seconds(value: object) -> object:
    """Return seconds for a text or a number; whatever else it is, pydantic refuses it."""
    if isinstance(value, bool):
        return parse_duration(str(value))
    if isinstance(value, int | float):
        return round(value, 3)
    return parse_duration(value) if isinstance(value, str) else value


def _not_bool(value: object) -> object:
    # TOML's true is no number, but Python takes it for a 1.
    if isinstance(value, bool):
        raise ValueError("must be a whole number, not true or false")  # noqa: TRY004 (pydantic reports only ValueErrors)
    return value


def _listed(value: object) -> object:
    """Split "a, b" and read '["a", "b"]', as environment variables and credentials have them."""
    if not isinstance(value, str):
        return value
    return _json(value) if value.lstrip().startswith("[") else _split(value)


def _mapped(value: object) -> object:
    """Read '{"name": {…}}', as environment variables and credentials have it."""
    return _json(value) if isinstance(value, str) else value


def _mode(value: object) -> str:
    mode = _lower(value)
    if mode not in (SHARED, EXCLUSIVE):
        raise ValueError(f"must be {SHARED} or {EXCLUSIVE}, or a table with these by queue")
    return str(mode)


def _modes(value: object) -> object:
    """Return the mode of all queues, or of those in a table."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        value = _json(value)
    if not isinstance(value, Mapping):
        return _mode(value)
    if unknown := [name for name in value if name not in tuple(Queue)]:
        raise ValueError(f"unknown queue {unknown[0]}; known: {', '.join(Queue)}")
    return {str(queue): _mode(mode) for queue, mode in value.items()}


def _split(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def _json(value: str) -> Any:
    try:
        return json_table(value)
    except DuplicateName as error:
        raise ValueError(str(error)) from None
    except (ValueError, RecursionError):
        raise ValueError("is not valid JSON") from None


def _url_list(value: object) -> object:
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    return _NEXT_URL.split(value.strip()) if isinstance(value, str) else value


def _amqp_urls(urls: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    for position, url in enumerate(urls, start=1):
        reason = _amqp_url_fault(url.get_secret_value())
        if reason:
            raise ValueError(f"URL {position}: {reason}" if len(urls) > 1 else reason)
    return urls


def _amqp_url_fault(url: str) -> str:
    """Return what is wrong with the URL without quoting it: any part may be of a password."""
    if not url.startswith(("amqp://", "amqps://")):
        return "must start with amqp:// or amqps://"
    if not url.isprintable() or " " in url:
        return "must not contain blanks or control characters"
    try:
        parts = urlsplit(url)
        host, port, rest = parts.hostname, parts.port, "".join(parts[2:])
    except ValueError:
        host, port, rest = None, 0, ""
    # An "@" behind host and port: what comes before it is part of a password.
    if port == 0 or (host and "," in host) or "@" in rest:
        return "host and port cannot be parsed; percent-encode / # ? @ : in a password"
    return "" if host else "names no host"


def _database_url(url: SecretStr) -> SecretStr:
    text = url.get_secret_value()
    if "\0" in text or "\n" in text:
        raise ValueError("must be one line without NUL")
    if not (_DATABASE_URL.match(text) or _DATABASE_KEYWORDS.match(text)):
        raise ValueError("must be a postgresql:// URL or a libpq string such as host=… dbname=…")
    return url


def _checksum(value: object) -> object:
    """Return the sum alone of what `sha256sum` prints, which names its input behind it."""
    return value.strip().removesuffix("  -") if isinstance(value, str) else value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


Seconds = Annotated[float, BeforeValidator(_seconds)]
WholeNumber = Annotated[int, BeforeValidator(_not_bool)]
Listed = BeforeValidator(_listed)
Mapped = BeforeValidator(_mapped)
Lowered = BeforeValidator(_lower)
# Absolute, so that it is the same wherever a program is started; empty: none.
FilePath = Annotated[str, Field(max_length=255, pattern=r"^(/[^\x00\n]*[^/\x00\n])?$")]
Checksum = BeforeValidator(_checksum)
QueuePattern = Annotated[str, Field(min_length=1, max_length=255)]
Modes = Annotated[Mode | Mapping[str, Mode], PlainValidator(_modes)]
AmqpUrls = Annotated[tuple[SecretStr, ...], BeforeValidator(_url_list), AfterValidator(_amqp_urls)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(_database_url)]
